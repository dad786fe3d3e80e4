/** A form with a file, in a browser that visits the demo. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import t from 'tap'
import { openShop } from '../helpers/shop.ts'
import { doubleClick, errorOf, messageOn, openBrowser, openPage, pathOf, press, sees, skip } from './support.ts'

const picture = { name: 'mug.svg', mimeType: 'image/svg+xml', buffer: readFileSync(join(import.meta.dirname, '../../demo/public/mug.svg')) }

async function write (page: Page, letter: { name?: string, email?: string, text?: string, file?: typeof picture }): Promise<void> {
  await page.getByLabel('Your name').fill(letter.name ?? 'Pat')
  await page.getByLabel('Your e-mail address').fill(letter.email ?? 'pat@example.com')
  await page.getByLabel('Your letter').fill(letter.text ?? 'I like the lamp, and this mug.')
  await page.getByLabel('A picture').setInputFiles(letter.file ?? [])
}

t.test('a letter', { skip }, async t => {
  const shop = await openShop(t)
  const browser = await openBrowser(t)

  t.test('arrives with its picture', async t => {
    const page = await openPage(t, browser, shop)
    await page.goto('/contact')
    await write(page, { file: picture })
    await press(page, 'Send')
    t.equal(await messageOn(page), 'Thank you, Pat. We will write back to pat@example.com.')
    t.equal(pathOf(page), '/contact')
    await sees(page, 'I like the lamp, and this mug.')
    await sees(page, /, with mug\.svg$/)
    t.equal(await page.getByLabel('Your letter').inputValue(), '')
  })

  t.test('arrives without a picture', async t => {
    const page = await openPage(t, browser, shop)
    await page.goto('/contact')
    await write(page, {})
    await press(page, 'Send')
    await sees(page, 'I like the lamp, and this mug.')
    t.equal(await page.getByText(', with ').count(), 0)
  })

  t.test('comes back with what was entered, a word on each fault, and the focus in the first one', async t => {
    const page = await openPage(t, browser, shop)
    await page.goto('/contact')
    await write(page, { name: 'Pat "O\'Neill" <pat>', email: 'nowhere', text: 'Hi\nyou', file: picture })
    await press(page, 'Send')
    t.equal(await page.getByLabel('Your name').inputValue(), 'Pat "O\'Neill" <pat>')
    t.equal(await page.getByLabel('Your e-mail address').inputValue(), 'nowhere')
    t.equal(await page.getByLabel('Your letter').inputValue(), 'Hi\nyou')
    t.equal(await errorOf(page, 'name'), undefined)
    t.equal(await errorOf(page, 'email'), 'This does not look like an e-mail address.')
    t.equal(await errorOf(page, 'text'), 'Please write a little more: ten characters or so.')
    t.equal(await page.locator(':focus').getAttribute('name'), 'email')
    await sees(page, 'Please choose mug.svg once more: no page can do that for you.')
    await page.reload()
    t.equal(await errorOf(page, 'email'), undefined, 'once')
    t.equal(await page.getByLabel('Your e-mail address').inputValue(), '')
  })

  t.test('is sent when its faults are mended', async t => {
    const page = await openPage(t, browser, shop)
    await page.goto('/contact')
    await write(page, { email: 'nowhere', file: picture })
    await press(page, 'Send')
    await page.getByLabel('Your e-mail address').fill('pat@example.com')
    await page.getByLabel('A picture').setInputFiles(picture)
    await press(page, 'Send')
    t.equal(await messageOn(page), 'Thank you, Pat. We will write back to pat@example.com.')
    await sees(page, /, with mug\.svg$/)
  })

  for (const [what, file, message] of [
    ['a file that is too large', { name: 'wall.png', mimeType: 'image/png', buffer: Buffer.alloc(3_000_000) }, 'A picture of at most one megabyte, please.'],
    ['a file that is no picture', { name: 'notes.txt', mimeType: 'text/plain', buffer: Buffer.from('notes') }, 'Only a picture can come with it.']
  ] as const) {
    t.test(`comes back with a word on ${what}`, async t => {
      const page = await openPage(t, browser, shop)
      await page.goto('/contact')
      await write(page, { file })
      await press(page, 'Send')
      t.equal(await errorOf(page, 'picture'), message)
      t.equal(await page.getByLabel('Your letter').inputValue(), 'I like the lamp, and this mug.')
    })
  }

  t.test('is sent once by a double click', async t => {
    const page = await openPage(t, browser, shop)
    await page.goto('/contact')
    await write(page, { file: picture })
    await doubleClick(page, shop, 'Send')
    t.equal(await messageOn(page), 'Thank you, Pat. We will write back to pat@example.com.')
    await page.reload()
    t.equal(await page.getByText('I like the lamp').count(), 1)
  })
})
