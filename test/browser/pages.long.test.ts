/** Every page of the demo, wide and narrow, light and dark: nothing is cut off, and axe has nothing to say. */
import axe, { type AxeResults } from 'axe-core'
import type { BrowserContextOptions } from 'playwright-core'
import t from 'tap'
import { openShop } from '../helpers/shop.ts'
import { openBrowser, openPage, skip, withoutFetchMetadata } from './support.ts'
import { tour } from './tour.ts'

const WIDE = { width: 1280, height: 800 }
const NARROW = { width: 390, height: 844 }

const appearances: Record<string, BrowserContextOptions> = {
  light: { viewport: WIDE, colorScheme: 'light' },
  dark: { viewport: WIDE, colorScheme: 'dark' },
  '390 pixels wide': { viewport: NARROW, colorScheme: 'light', hasTouch: true, isMobile: true },
  '390 pixels wide and dark': { viewport: NARROW, colorScheme: 'dark', hasTouch: true, isMobile: true }
}

/** The elements that stick out of the column of the page to the right, except where their box scrolls. */
const STICKING_OUT = `[...document.querySelectorAll('body, body *')]
  .filter(element => element.closest('.scroll, .skip') === null)
  .filter(element => element.getBoundingClientRect().right > (element.closest('.wrap') ?? document.documentElement).getBoundingClientRect().right + .5)
  .map(({ outerHTML }) => outerHTML.slice(0, 120))`

t.test('the pages', { skip }, async t => {
  const shop = await openShop(t)
  const browser = await openBrowser(t)

  for (const [appearance, options] of Object.entries(appearances)) {
    t.test(appearance, async t => {
      // Without Fetch Metadata a form that is too old is refused, and there is a page to see for it.
      const page = await openPage(t, browser, shop, { ...options, ...withoutFetchMetadata(shop) })
      const complaints: string[] = []
      page.on('console', message => { if (message.type() === 'error' && !/status of (404|419|500)/.test(message.text())) complaints.push(message.text()) })
      page.on('pageerror', error => { complaints.push(error.message) })

      await tour(page, browser, shop, async name => {
        t.same(await page.evaluate(STICKING_OUT), [], `${name}: nothing sticks out`)
        const { violations } = await page.evaluate<AxeResults>(`${axe.source}; axe.run()`)
        t.same(violations.map(({ id, impact, nodes }) => ({ id, impact, at: nodes.map(({ target }) => String(target)) })), [], `${name}: axe finds nothing`)
      })
      t.same(complaints, [], 'the browser has nothing to complain of')
    })
  }
})
