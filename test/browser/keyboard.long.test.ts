/** The demo by keyboard alone. */
import type { Page } from 'playwright-core'
import t from 'tap'
import { openShop } from '../helpers/shop.ts'
import { arrives, enterCredentials, itemsInCart, messageOn, openBrowser, openPage, pathOf, press, skip } from './support.ts'

/** More than any page has to offer. */
const MOST_STOPS = 60

/** What has the focus: by its name for assistive technology, and whether it is seen and shows it. */
interface Stop {
  readonly name: string
  readonly isShown: boolean
  readonly isOutlined: boolean
}

const STOP = `(() => {
  const element = document.activeElement
  if (element === null || element === document.body) return null
  const { top, left, bottom, right } = element.getBoundingClientRect()
  const style = getComputedStyle(element)
  return {
    name: element.getAttribute('aria-label') ?? element.labels?.[0]?.textContent.trim() ?? element.textContent.trim(),
    isShown: top >= 0 && left >= 0 && bottom <= innerHeight && right <= innerWidth && bottom > top && right > left,
    isOutlined: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2
  }
})()`

async function tab (page: Page): Promise<Stop | null> {
  await page.keyboard.press('Tab')
  return await page.evaluate<Stop | null>(STOP)
}

/** Presses Tab until something has the focus. */
async function tabTo (page: Page, name: string): Promise<void> {
  for (let stops = 0; stops < MOST_STOPS; stops++) if ((await tab(page))?.name === name) return
  throw new Error(`Tab does not reach '${name}' on ${page.url()}`)
}

/** Presses Enter where the focus is, and waits for the page that it leads to. */
async function enter (page: Page): Promise<void> {
  await arrives(page, () => page.keyboard.press('Enter'))
}

t.test('by keyboard', { skip }, async t => {
  const shop = await openShop(t)
  const browser = await openBrowser(t)

  t.test('a visitor fills a cart, signs in, orders and signs out', async t => {
    const page = await openPage(t, browser, shop)
    await page.goto('/')
    await tabTo(page, 'Add to cart: Desk lamp')
    await enter(page)
    t.equal(await itemsInCart(page), 1)
    await tabTo(page, 'Sign in')
    await enter(page)
    await tabTo(page, 'Name')
    await page.keyboard.type('ada')
    await tabTo(page, 'Password')
    await page.keyboard.type('difference engine')
    await tabTo(page, 'Keep me signed in for thirty days')
    await page.keyboard.press('Space')
    await enter(page)
    t.equal(await messageOn(page), 'Welcome, Ada.')
    await tabTo(page, 'Cart 1')
    await enter(page)
    await tabTo(page, 'Quantity of Desk lamp')
    await page.keyboard.type('2')
    await enter(page)
    t.equal(await itemsInCart(page), 2)
    await tabTo(page, 'Check out')
    await enter(page)
    t.match(await messageOn(page), 'Thank you!')
    await tabTo(page, 'Sign out')
    await enter(page)
    t.equal(await messageOn(page), 'You are signed out.')
  })

  t.test('the first stop leads past the header, and the next one is in the content', async t => {
    const page = await openPage(t, browser, shop)
    await page.goto('/')
    t.equal((await tab(page))?.name, 'Skip to the content')
    await page.keyboard.press('Enter')
    t.equal((await tab(page))?.name, 'Add to cart: Dot-grid notebook')
  })

  for (const width of [1280, 390]) {
    t.test(`every stop is seen and shows that it has the focus, ${width} pixels wide`, async t => {
      const page = await openPage(t, browser, shop, { viewport: { width, height: 800 } })
      await page.goto('/sign-in')
      await enterCredentials(page)
      await press(page, 'Add to cart: Desk lamp')
      for (const path of ['/', '/cart', '/orders', '/devices', '/contact', '/session']) {
        await page.goto(path)
        t.equal(pathOf(page), path)
        const stops: Stop[] = []
        for (let stop = await tab(page); stop !== null && stops.length < MOST_STOPS; stop = await tab(page)) stops.push(stop)
        t.ok(stops.length > 8, `${path} has ${stops.length} stops`)
        t.same(stops.filter(({ name, isShown, isOutlined }) => name === '' || !isShown || !isOutlined), [])
      }
    })
  }
})
