/** Tabs that were open over night: their sessions have expired, and their forms are old. */
import type { BrowserContext, Page } from 'playwright-core'
import t from 'tap'
import { openShop } from '../helpers/shop.ts'
import {
  arrives, enterCredentials, isSignedIn, itemsInCart, messageOn, openBrowser, openWindow, passNight, pathOf, press, sees, signIn, skip, withoutFetchMetadata
} from './support.ts'

t.test('after a night', { skip }, async t => {
  const shop = await openShop(t)
  const browser = await openBrowser(t)

  t.test('a form that needs a user changes nothing, and leads to signing in and back', async t => {
    const window = await openWindow(t, browser, shop)
    const page = await window.newPage()
    await signIn(page)
    await press(page, 'Add to cart: Desk lamp')
    await page.goto('/cart')
    await passNight(shop, window)
    await press(page, 'Check out')
    t.equal(pathOf(page), '/sign-in')
    t.equal(await messageOn(page), 'Nothing was changed: you are not signed in any more. Please sign in and try again.')
    await enterCredentials(page)
    t.equal(pathOf(page), '/cart')
  })

  t.test('a form that anybody may send is good', async t => {
    const window = await openWindow(t, browser, shop)
    const page = await window.newPage()
    await page.goto('/contact')
    await writeLetter(page)
    await passNight(shop, window)
    const sent = page.waitForRequest(request => request.method() === 'POST')
    await press(page, 'Send')
    t.equal(await (await sent).headerValue('sec-fetch-site'), 'same-origin')
    t.equal(await messageOn(page), 'Thank you, Pat. We will write back to pat@example.com.')
  })

  t.test('the form for signing in is good', async t => {
    const window = await openWindow(t, browser, shop)
    const page = await window.newPage()
    await page.goto('/sign-in')
    await passNight(shop, window)
    await enterCredentials(page)
    t.ok(await isSignedIn(page))
  })

  t.test('a visitor who asked to stay signed in goes on, with the cart', async t => {
    const window = await openWindow(t, browser, shop)
    const page = await window.newPage()
    await signIn(page, 'ada', { remember: true })
    await press(page, 'Add to cart: Desk lamp')
    await page.goto('/cart')
    await passNight(shop, window)
    await press(page, 'Check out')
    t.match(await messageOn(page), 'Thank you! Your order number is')
  })
})

t.test('after a night, in a browser that does not say where a form comes from', { skip }, async t => {
  const shop = await openShop(t)
  const browser = await openBrowser(t)
  const open = async (): Promise<BrowserContext> => await openWindow(t, browser, shop, withoutFetchMetadata(shop))

  t.test('a letter is refused with the page for 419, from which the visitor comes back to it and sends it', async t => {
    const window = await open()
    const page = await window.newPage()
    await page.goto('/contact')
    await writeLetter(page)
    await passNight(shop, window)
    const response = page.waitForResponse(answer => answer.request().method() === 'POST')
    await press(page, 'Send')
    t.equal((await response).status(), 419)
    t.equal(await (await response).request().headerValue('sec-fetch-site'), null)
    await sees(page, 'Nothing was changed.')
    await arrives(page, () => page.getByRole('link', { name: 'Back to the form' }).click())
    t.equal(pathOf(page), '/contact')
    t.equal(await page.getByLabel('Your letter').inputValue(), 'I like the lamp, all night.')
    await press(page, 'Send')
    t.equal(await messageOn(page), 'Thank you, Pat. We will write back to pat@example.com.')
  })

  t.test('the form for signing in is refused, and has the name but not the password when the visitor comes back', async t => {
    const window = await open()
    const page = await window.newPage()
    await page.goto('/sign-in')
    await passNight(shop, window)
    await enterCredentials(page)
    await sees(page, 'This page has expired')
    await arrives(page, () => page.getByRole('link', { name: 'Back to the form' }).click())
    t.equal(await page.getByLabel('Name', { exact: true }).inputValue(), 'ada')
    t.equal(await page.getByLabel('Password', { exact: true }).inputValue(), '')
    await enterCredentials(page)
    t.ok(await isSignedIn(page))
  })

  t.test('the button of a page is refused, and good on the page that the visitor comes back to', async t => {
    const window = await open()
    const page = await window.newPage()
    await page.goto('/')
    await passNight(shop, window)
    await press(page, 'Add to cart: Desk lamp')
    await sees(page, 'This page has expired')
    await arrives(page, () => page.getByRole('link', { name: 'Back to the form' }).click())
    await press(page, 'Add to cart: Desk lamp')
    t.equal(await itemsInCart(page), 1)
  })
})

async function writeLetter (page: Page): Promise<void> {
  await page.getByLabel('Your name').fill('Pat')
  await page.getByLabel('Your e-mail address').fill('pat@example.com')
  await page.getByLabel('Your letter').fill('I like the lamp, all night.')
}
