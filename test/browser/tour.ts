/** All pages of the demo, in the states that look different. */
import type { Browser, Page } from 'playwright-core'
import type { Shop } from '../helpers/shop.ts'
import { enterCredentials, passNight, press, signIn } from './support.ts'

/**
 * Shows a page of the demo after the other.
 *
 * @param page in a browser without Fetch Metadata: only there a form that is too old is refused
 * @param look is called with the name of what the page shows
 */
export async function tour (page: Page, browser: Browser, shop: Shop, look: (name: string) => Promise<void>): Promise<void> {
  const open = async (path: string, name: string): Promise<void> => {
    await page.goto(path)
    await look(name)
  }
  await open('/session', 'no session')
  await open('/cart', 'the empty cart')
  await open('/', 'the shop')
  await press(page, 'Add to cart: Desk lamp')
  await look('the shop, with a message')
  await press(page, 'Add to cart: Stoneware mug')
  await open('/cart', 'the cart')
  await open('/contact', 'the contact form')
  await press(page, 'Send')
  await look('the contact form, with errors')
  await open('/sign-in', 'the form for signing in')
  await page.goto('/devices')
  await look('the form for signing in, with a problem')
  await enterCredentials(page)
  await look('one device')
  const elsewhere = await browser.newPage({ baseURL: shop.origin })
  await signIn(elsewhere)
  await elsewhere.close()
  await open('/devices', 'two devices')
  await press(page, 'Sign out all other devices')
  await open('/orders', 'no orders')
  await page.goto('/cart')
  await press(page, 'Check out')
  await look('an order')
  await page.goto('/contact')
  await page.getByLabel('Your letter').fill('I like the lamp.'.repeat(20))
  await press(page, 'Send')
  await look('a letter that was sent')
  await open('/session', 'the session')
  await open('/nowhere', 'no such page')
  await open('/broken', 'a page that fails')
  await page.goto('/')
  await passNight(shop, page.context())
  await press(page, 'Add to cart: Desk lamp')
  await look('after a night')
}
