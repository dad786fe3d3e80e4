/** The cart, orders and messages, in a browser that visits the demo. */
import t from 'tap'
import { openShop } from '../helpers/shop.ts'
import { atOnce, doubleClick, itemsInCart, messageOn, openBrowser, openPage, openWindow, pathOf, press, signIn, skip } from './support.ts'

t.test('the cart', { skip }, async t => {
  const shop = await openShop(t)
  const browser = await openBrowser(t)

  t.test('has what two tabs have added at the same moment', async t => {
    const window = await openWindow(t, browser, shop)
    const tabs = [await window.newPage(), await window.newPage()]
    for (const tab of tabs) await tab.goto('/')
    for (const product of ['Stoneware mug', 'Desk lamp']) {
      await atOnce(shop, tabs, tab => press(tab, `Add to cart: ${product}`))
    }
    for (const tab of tabs) {
      await tab.goto('/cart')
      t.equal(await itemsInCart(tab), 4)
    }
  })

  t.test('says what was added on the next page, and not when that is loaded again', async t => {
    const page = await openPage(t, browser, shop)
    await page.goto('/')
    await press(page, 'Add to cart: Potted plant')
    t.equal(await messageOn(page), 'Potted plant added to your cart.')
    await page.reload()
    t.equal(await messageOn(page), undefined)
    t.equal(await itemsInCart(page), 1, 'and adds nothing')
  })

  t.test('becomes one order by a double click, whose number the visitor is told', async t => {
    const page = await openPage(t, browser, shop)
    await signIn(page)
    await press(page, 'Add to cart: Potted plant')
    await page.goto('/cart')
    await doubleClick(page, shop, 'Check out')
    const [, number] = /^Thank you! Your order number is (SL-\d+)\.$/.exec(await messageOn(page) ?? '') ?? []
    t.equal(pathOf(page), '/orders')
    t.same(await page.getByText(/^SL-\d+$/).allInnerTexts(), [number])
    t.equal(await itemsInCart(page), 0)
    await page.reload()
    t.equal(await page.getByText(/^SL-\d+$/).count(), 1, 'loading the page again orders nothing')
  })

  t.test('becomes one order when two tabs check out at the same moment, and both end at it', async t => {
    const window = await openWindow(t, browser, shop)
    const tabs = [await window.newPage(), await window.newPage()] as const
    await signIn(tabs[0])
    await press(tabs[0], 'Add to cart: Potted plant')
    for (const tab of tabs) await tab.goto('/cart')
    await atOnce(shop, tabs, tab => press(tab, 'Check out'))
    for (const tab of tabs) {
      t.equal(pathOf(tab), '/orders')
      t.equal(await tab.getByText(/^SL-\d+$/).count(), 1)
    }
  })
})
