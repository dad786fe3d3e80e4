/**
 * A browser that visits the demo. It is the Chromium that the machine has: `CHROMIUM_PATH` names it, or it is found in the `PATH`.
 * Without one the suites are skipped; with REQUIRE_BROWSER=1, as in CI, that is a failure.
 */
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type LaunchOptions, type Page } from 'playwright-core'
import type { Test } from 'tap'
import { FileStore } from '../../src/index.ts'
import type { Shop } from '../helpers/shop.ts'

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']
/** In milliseconds; what is waited for is there in a moment, but on a machine that is busy with something else. */
const PATIENCE = 30_000
/** A name that is no name of this machine: browsers send it no `Sec-Fetch-Site` without HTTPS, as old browsers send none at all. */
const PLAIN_HOST = 'shop.test'

const executablePath = findBrowser()

/** What tap's option `skip` takes: false, or why there is no browser. */
export const skip = executablePath === undefined && 'there is no Chromium here, by CHROMIUM_PATH or in the PATH'

if (executablePath === undefined && process.env.REQUIRE_BROWSER === '1') throw new Error(`REQUIRE_BROWSER=1, and ${String(skip)}`)

/** Starts a browser that ends with the test. */
export async function openBrowser (t: Test): Promise<Browser> {
  const browser = await chromium.launch(launchOptions())
  t.teardown(() => browser.close())
  return browser
}

/** Opens a window with cookies of its own, which nothing has been visited in before. It closes with the test. */
export async function openWindow (t: Test, browser: Browser, shop: Shop, options: BrowserContextOptions = {}): Promise<BrowserContext> {
  const window = await browser.newContext({ baseURL: shop.origin, ...options })
  t.teardown(() => window.close())
  window.setDefaultTimeout(PATIENCE)
  return window
}

/** Opens a page in a window of its own. */
export async function openPage (t: Test, browser: Browser, shop: Shop, options: BrowserContextOptions = {}): Promise<Page> {
  return await (await openWindow(t, browser, shop, options)).newPage()
}

/** Opens a browser that keeps its cookies in a directory, as one with a profile does. To close it, close the window. */
export async function openProfile (t: Test, directory: string, shop: Shop): Promise<BrowserContext> {
  const window = await chromium.launchPersistentContext(directory, { ...launchOptions(), baseURL: shop.origin })
  t.teardown(() => window.close())
  window.setDefaultTimeout(PATIENCE)
  return window
}

/** @returns the options of a window whose browser does not say where a request comes from */
export function withoutFetchMetadata (shop: Shop): BrowserContextOptions {
  return { baseURL: `http://${PLAIN_HOST}:${new URL(shop.origin).port}` }
}

/** Opens the page for signing in, fills in its form and waits for the page after it. */
export async function signIn (page: Page, name: 'ada' | 'grace' = 'ada', { remember = false } = {}): Promise<void> {
  await page.goto('/sign-in')
  await enterCredentials(page, name, { remember })
}

/** Fills in and sends the form for signing in that the page shows. */
export async function enterCredentials (page: Page, name: 'ada' | 'grace' = 'ada', { remember = false } = {}): Promise<void> {
  await page.getByLabel('Name', { exact: true }).fill(name)
  await page.getByLabel('Password', { exact: true }).fill(name === 'ada' ? 'difference engine' : 'nanosecond')
  if (remember) await page.getByLabel('Keep me signed in').check()
  await press(page, 'Sign in')
}

/** Clicks a button that sends a form, and waits for the page that the browser shows then. */
export async function press (page: Page, button: string): Promise<void> {
  await arrives(page, () => page.getByRole('button', { name: button, exact: true }).click())
}

/** Clicks a button that sends a form twice, before the shop answers, and waits for the page that the browser shows then. */
export async function doubleClick (page: Page, shop: Shop, button: string): Promise<void> {
  let sent = 0
  const isSentTwice = page.waitForRequest(request => request.method() === 'POST' && ++sent === 2)
  const isNext = page.waitForEvent('domcontentloaded')
  shop.pause()
  // A hand takes a while, too: what comes sooner is one click for the browser.
  const isClicked = page.getByRole('button', { name: button, exact: true }).dblclick({ delay: 50 })
  await isSentTwice.finally(() => { shop.resume() })
  await Promise.all([isClicked, isNext])
}

/** Does something that leads to another page, and waits for it. */
export async function arrives (page: Page, act: () => Promise<void>): Promise<void> {
  await Promise.all([page.waitForEvent('domcontentloaded'), act()])
}

/** Waits until the page shows a text. */
export async function sees (page: Page, text: string | RegExp): Promise<void> {
  await page.getByText(text).first().waitFor()
}

/** @returns the message on a page, if there is one */
export async function messageOn (page: Page): Promise<string | undefined> {
  return (await page.locator('.message').allInnerTexts())[0]
}

/** @returns what is said of a field that was wrong */
export async function errorOf (page: Page, field: string): Promise<string | undefined> {
  return (await page.locator(`#${field}-error`).allInnerTexts())[0]
}

/** @returns whether the page says who is signed in */
export async function isSignedIn (page: Page): Promise<boolean> {
  return await page.getByRole('button', { name: 'Sign out', exact: true }).count() > 0
}

export function pathOf (page: Page): string {
  return new URL(page.url()).pathname
}

export async function itemsInCart (page: Page): Promise<number> {
  return Number(await page.locator('.badge').innerText())
}

/**
 * Does something in several pages whose forms reach the shop at the same moment.
 *
 * @param act what makes each page send a form, and waits for the page after it
 */
export async function atOnce (shop: Shop, pages: readonly Page[], act: (page: Page) => Promise<void>): Promise<void> {
  const areSent = Promise.all(pages.map(page => page.waitForRequest(request => request.method() === 'POST')))
  shop.pause()
  const areDone = Promise.all(pages.map(act))
  await areSent.finally(() => { shop.resume() })
  await areDone
}

/** Leaves what twelve hours without a request leave: sessions that have expired, and browsers that have dropped their cookies. */
export async function passNight (shop: Shop, ...windows: BrowserContext[]): Promise<void> {
  const night = 12 * 60 * 60
  const earlier = (date: Date): Date => new Date(date.getTime() - night * 1000)
  const store = new FileStore({ directory: shop.files, report: () => {} })
  await store.open()
  const { records } = await store.list({}, { limit: 1000 })
  for (const { key, expiresAt, lastActivity } of records) await store.touch(key, earlier(expiresAt), lastActivity && earlier(lastActivity))
  for (const window of windows) {
    const cookies = (await window.cookies()).map(cookie => cookie.expires === -1 ? cookie : { ...cookie, expires: cookie.expires - night })
    await window.clearCookies()
    await window.addCookies(cookies.filter(({ expires }) => expires === -1 || expires > Date.now() / 1000))
  }
}

function launchOptions (): LaunchOptions {
  return {
    ...executablePath !== undefined && { executablePath },
    args: [`--host-resolver-rules=MAP ${PLAIN_HOST} 127.0.0.1`],
    // The back button is to show what it shows to visitors: a page may come out of this cache as it was left.
    ignoreDefaultArgs: ['--disable-back-forward-cache']
  }
}

function findBrowser (): string | undefined {
  const { CHROMIUM_PATH: named, PATH: path = '' } = process.env
  if (named !== undefined && named !== '') return named
  return path.split(delimiter).flatMap(directory => NAMES.map(name => join(directory, name))).find(isExecutable)
}

function isExecutable (file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}
