/** Signing in and out, in a browser that visits the demo. */
import { join } from 'node:path'
import t from 'tap'
import { FileStore } from '../../src/index.ts'
import { openShop } from '../helpers/shop.ts'
import { atOnce, enterCredentials, isSignedIn, itemsInCart, messageOn, openBrowser, openPage, openProfile, openWindow, pathOf, press, sees, signIn, skip } from './support.ts'

t.test('signing in', { skip }, async t => {
  const shop = await openShop(t)
  const browser = await openBrowser(t)

  t.test('leads to the page that was asked for, with the cart of before', async t => {
    const page = await openPage(t, browser, shop)
    await page.goto('/')
    await press(page, 'Add to cart: Desk lamp')
    await page.goto('/orders')
    t.equal(await messageOn(page), 'Please sign in first.')
    await enterCredentials(page)
    t.equal(await messageOn(page), 'Welcome, Ada.')
    t.equal(pathOf(page), '/orders')
    t.equal(await itemsInCart(page), 1)
  })

  t.test('holds when the browser is closed and opened again, for a visitor who asked for it', async t => {
    const profile = join(t.testdir(), 'profile')
    const before = await openProfile(t, profile, shop)
    await signIn(await before.newPage(), 'ada', { remember: true })
    await before.close()
    const page = await (await openProfile(t, profile, shop)).newPage()
    await page.goto('/orders')
    await sees(page, 'Your orders')
    t.ok(await isSignedIn(page))
  })

  t.test('ends when the browser is closed, for any other visitor', async t => {
    const profile = join(t.testdir(), 'profile')
    const before = await openProfile(t, profile, shop)
    await signIn(await before.newPage())
    await before.close()
    const page = await (await openProfile(t, profile, shop)).newPage()
    await page.goto('/orders')
    t.equal(await messageOn(page), 'Please sign in first.')
    t.notOk(await isSignedIn(page))
  })

  t.test('holds when the shop is killed and started again, and a form that was open is good', async t => {
    const shop = await openShop(t)
    const page = await openPage(t, browser, shop)
    await signIn(page)
    await shop.stop('SIGKILL')
    await shop.start()
    await press(page, 'Add to cart: Stoneware mug')
    t.equal(await messageOn(page), 'Stoneware mug added to your cart.')
    t.ok(await isSignedIn(page))
  })
})

t.test('signing out', { skip }, async t => {
  const shop = await openShop(t)
  const browser = await openBrowser(t)

  t.test('leaves nothing for the back button to show', async t => {
    const page = await openPage(t, browser, shop)
    await signIn(page)
    await page.goto('/devices')
    await sees(page, 'This device')
    await press(page, 'Sign out')
    t.equal(await messageOn(page), 'You are signed out.')
    await page.goBack({ waitUntil: 'commit' })
    await sees(page, 'Please sign in first.')
    t.equal(await page.getByText('This device').count(), 0)
  })

  t.test('holds in all tabs: a form that another one sends changes nothing, and leads to signing in', async t => {
    const window = await openWindow(t, browser, shop)
    const [first, second] = [await window.newPage(), await window.newPage()]
    await signIn(first)
    await press(first, 'Add to cart: Desk lamp')
    await second.goto('/cart')
    await press(first, 'Sign out')

    await press(second, 'Check out')
    t.equal(await messageOn(second), 'Nothing was changed: you are not signed in any more. Please sign in and try again.')
    await enterCredentials(second)
    t.equal(pathOf(second), '/cart', 'back where the form was')
    await second.goto('/orders')
    await sees(second, 'None yet.')
  })

  t.test('holds when another tab sends a form at the same moment', async t => {
    const window = await openWindow(t, browser, shop)
    const [first, second] = [await window.newPage(), await window.newPage()]
    await signIn(first, 'grace')
    await second.goto('/')
    await atOnce(shop, [first, second], async page => { await press(page, page === first ? 'Sign out' : 'Add to cart: Desk lamp') })
    for (const page of [first, second]) {
      await page.goto('/contact')
      t.notOk(await isSignedIn(page))
    }
    const store = new FileStore({ directory: shop.files, report: () => {} })
    await store.open()
    t.same((await store.list({ userId: 'grace' }, { limit: 10 })).records, [])
  })
})
