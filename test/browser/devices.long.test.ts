/** "Your devices", in two browsers that visit the demo. */
import t from 'tap'
import { openShop } from '../helpers/shop.ts'
import { arrives, isSignedIn, messageOn, openBrowser, openPage, pathOf, press, sees, signIn, skip } from './support.ts'

const PHONE = 'Mozilla/5.0 (Linux; Android 15; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36'
const LAPTOP = 'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Safari/605.1.15'

t.test('your devices', { skip }, async t => {
  const shop = await openShop(t)
  const [phones, laptops] = [await openBrowser(t), await openBrowser(t)]
  const phone = await openPage(t, phones, shop, { userAgent: PHONE })
  const laptop = await openPage(t, laptops, shop, { userAgent: LAPTOP })

  t.beforeEach(async () => {
    await signIn(phone)
    await signIn(laptop)
    await laptop.goto('/devices')
  })
  t.afterEach(async () => {
    for (const page of [phone, laptop]) if (await isSignedIn(page)) await press(page, 'Sign out')
  })

  t.test('are both listed, each browser with its own as this device', async t => {
    await phone.goto('/devices')
    for (const [page, own, other] of [[phone, 'Chrome on Android', 'Safari on a Mac'], [laptop, 'Safari on a Mac', 'Chrome on Android']] as const) {
      await page.getByRole('listitem').filter({ hasText: own }).filter({ hasText: 'This device' }).waitFor()
      await page.getByRole('button', { name: `Sign out ${other}` }).waitFor()
      t.equal(await page.getByRole('heading', { level: 2, name: ' on ' }).count(), 2)
    }
  })

  t.test('can be signed out from each other', async t => {
    await phone.goto('/cart')
    await press(laptop, 'Sign out Chrome on Android')
    t.equal(await messageOn(laptop), 'That device is signed out.')
    await sees(laptop, 'You are signed in nowhere else.')
    t.ok(await isSignedIn(laptop))
    await phone.goto('/orders')
    t.equal(await messageOn(phone), 'Please sign in first.')
  })

  t.test('leave the page of the devices by themselves when they are signed out', async t => {
    const isListening = phone.waitForResponse('**/devices/watch')
    await phone.goto('/devices')
    await isListening
    await arrives(phone, () => press(laptop, 'Sign out all other devices'))
    t.equal(await messageOn(laptop), '1 other device signed out.')
    t.equal(pathOf(phone), '/sign-in')
    t.notOk(await isSignedIn(phone))
  })
})
