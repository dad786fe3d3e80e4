/** The demo as its visitors have it: a server of its own, driven over HTTP, and now and then killed. */
import { readdirSync } from 'node:fs'
import t from 'tap'
import { openShop, type Shop } from './helpers/shop.ts'

interface Page {
  readonly status: number
  /** The path on which the visitor ended up. */
  readonly path: string
  readonly html: string
}

/** A browser: keeps cookies, follows redirects, and sends forms with the token that is in them. */
class Visitor {
  readonly #shop: Shop
  cookie = ''
  userAgent = ''
  /** The URL of the page that forms are sent from, as far as the browser says it. */
  referer: string | undefined
  token = ''

  constructor (shop: Shop) {
    this.#shop = shop
  }

  async open (path: string): Promise<Page> {
    return await this.#arrive(await this.request(path))
  }

  async send (path: string, fields: Record<string, string> = {}): Promise<Page> {
    return await this.#arrive(await this.post(path, fields))
  }

  /** Sends a form and looks no further. */
  async post (path: string, fields: Record<string, string> = {}): Promise<Response> {
    return await this.request(path, { method: 'POST', body: new URLSearchParams({ _token: this.token, ...fields }) })
  }

  async request (path: string, init: RequestInit = {}): Promise<Response> {
    const headers = { cookie: this.cookie, 'user-agent': this.userAgent, ...this.referer !== undefined && { referer: this.referer } }
    const response = await fetch(new URL(path, this.#shop.origin), { ...init, headers, redirect: 'manual' })
    for (const cookie of response.headers.getSetCookie()) if (cookie.startsWith('shop_session=')) [this.cookie = ''] = cookie.split(';')
    return response
  }

  async signIn (name = 'ada', password = 'difference engine'): Promise<Page> {
    await this.open('/sign-in')
    return await this.send('/sign-in', { name, password })
  }

  async #arrive (response: Response): Promise<Page> {
    const location = response.headers.get('location')
    if (location !== null) {
      await response.body?.cancel()
      return await this.#arrive(await this.request(location))
    }
    const html = await response.text()
    this.token = /name="_token" value="([^"]+)"/.exec(html)?.[1] ?? this.token
    return { status: response.status, path: new URL(response.url).pathname, html }
  }
}

function messageOn ({ html }: Page): string | undefined {
  return /<p class="message [^>]*>([^<]*)</.exec(html)?.[1]
}

function itemsInCartOn ({ html }: Page): number {
  return Number(/class="badge">(\d+)</.exec(html)?.[1])
}

function valueOf (field: string, { html }: Page): string | undefined {
  return new RegExp(`<input id="${field}"[^>]* value="([^"]*)"`).exec(html)?.[1]
}

function errorOf (field: string, { html }: Page): string | undefined {
  return new RegExp(`id="${field}-error">([^<]*)<`).exec(html)?.[1]
}

function namesOn (html: string): string[] {
  return [...html.matchAll(/<li class="device">\s*<div class="about">\s*<h2>([^<]*)</g)].map(([, name = '']) => name).sort()
}

t.test('the shop', async t => {
  const shop = await openShop(t)

  t.test('stores no session for a visitor who only looks at a page without a form', async t => {
    const visitor = new Visitor(shop)
    const { html } = await visitor.open('/session')
    t.match(html, 'There is none.')
    t.equal(visitor.cookie, '')
    t.same(readdirSync(shop.files), [])
  })

  t.test('fills a cart, changes it and empties it', async t => {
    const visitor = new Visitor(shop)
    await visitor.open('/')
    t.equal(itemsInCartOn(await visitor.send('/cart/mug/add')), 1)
    t.equal(itemsInCartOn(await visitor.send('/cart/lamp/add')), 2)
    const changed = await visitor.send('/cart/mug/quantity', { quantity: '3' })
    t.equal(changed.path, '/cart')
    t.equal(itemsInCartOn(changed), 4)
    t.match(changed.html, '€118.00')
    t.equal(itemsInCartOn(await visitor.send('/cart/lamp/remove')), 3)
    t.match((await visitor.send('/cart/mug/quantity', { quantity: '0' })).html, 'There is nothing in it yet.')
  })

  t.test('refuses a quantity that is none', async t => {
    const visitor = new Visitor(shop)
    await visitor.open('/')
    await visitor.send('/cart/mug/add')
    const page = await visitor.send('/cart/mug/quantity', { quantity: '-1' })
    t.equal(messageOn(page), 'A quantity is a whole number from 0 to 99.')
    t.equal(itemsInCartOn(page), 1)
  })

  t.test('counts every one of thirty clicks at once', async t => {
    const visitor = new Visitor(shop)
    await visitor.open('/')
    const answers = await Promise.all(Array.from({ length: 30 }, () => visitor.post('/cart/pencils/add')))
    t.ok(answers.every(({ status }) => status === 303))
    t.equal(itemsInCartOn(await visitor.open('/cart')), 30)
  })

  t.test('says a message on the next page, and then never again', async t => {
    const visitor = new Visitor(shop)
    await visitor.open('/')
    await visitor.post('/cart/mug/add')
    await visitor.request('/assets/style.css')
    t.equal(messageOn(await visitor.open('/')), 'Stoneware mug added to your cart.')
    t.equal(messageOn(await visitor.open('/')), undefined)
  })

  t.test('signs in under a new id, which keeps the cart and ends the old id', async t => {
    const visitor = new Visitor(shop)
    await visitor.open('/')
    await visitor.send('/cart/mug/add')
    const thief = new Visitor(shop)
    thief.cookie = visitor.cookie
    const page = await visitor.signIn()
    t.equal(messageOn(page), 'Welcome, Ada.')
    t.match(page.html, '<span>Ada</span>')
    t.equal(itemsInCartOn(page), 1)
    t.not(visitor.cookie, thief.cookie)
    const stolen = await thief.open('/')
    t.notMatch(stolen.html, 'Ada')
    t.equal(itemsInCartOn(stolen), 0)
  })

  t.test('returns after signing in to the page that was asked for', async t => {
    const visitor = new Visitor(shop)
    const stopped = await visitor.open('/orders')
    t.equal(stopped.path, '/sign-in')
    t.equal(messageOn(stopped), 'Please sign in first.')
    t.equal((await visitor.send('/sign-in', { name: 'grace', password: 'nanosecond' })).path, '/orders')
  })

  t.test('refuses a wrong password, and gives back the name but not the password', async t => {
    const visitor = new Visitor(shop)
    const page = await visitor.signIn('ada', 'guess')
    t.equal(page.path, '/sign-in')
    t.equal(errorOf('password', page), 'This name and this password do not belong together.')
    t.equal(valueOf('name', page), 'ada')
    t.equal(valueOf('password', page), '')
    t.notMatch((await visitor.open('/session')).html, 'guess')
  })

  t.test('keeps a visitor signed in for thirty days who asks for it, and any other until the browser is closed', async t => {
    const cookieAfter = async (fields: Record<string, string>): Promise<string | null> => {
      const visitor = new Visitor(shop)
      await visitor.open('/sign-in')
      return (await visitor.post('/sign-in', { name: 'ada', password: 'difference engine', ...fields })).headers.get('set-cookie')
    }
    t.match(await cookieAfter({ remember: 'on' }), '; Max-Age=2592000;')
    t.notMatch(await cookieAfter({}), 'Max-Age')
  })

  t.test('gives back the box that was ticked with a wrong password', async t => {
    const visitor = new Visitor(shop)
    await visitor.open('/sign-in')
    t.match((await visitor.send('/sign-in', { name: 'ada', password: 'guess', remember: 'on' })).html, /name="remember"[^>]* checked>/)
    t.notMatch((await visitor.open('/sign-in')).html, /name="remember"[^>]* checked>/)
  })

  t.test('signs out for good: the old cookie is worth nothing', async t => {
    const visitor = new Visitor(shop)
    await visitor.signIn()
    await visitor.send('/cart/mug/add')
    const { cookie } = visitor
    const page = await visitor.send('/sign-out')
    t.equal(messageOn(page), 'You are signed out.')
    t.equal(itemsInCartOn(page), 0)
    const thief = new Visitor(shop)
    thief.cookie = cookie
    t.notMatch((await thief.open('/')).html, '<span>Ada</span>')
  })

  t.test('gives an order number at checkout and empties the cart', async t => {
    const visitor = new Visitor(shop)
    await visitor.signIn()
    await visitor.send('/cart/mug/add')
    const page = await visitor.send('/checkout')
    const number = /Your order number is (SL-\d{6})\./.exec(messageOn(page) ?? '')?.[1]
    t.type(number, 'string')
    t.equal(page.path, '/orders')
    t.match(page.html, `<td>${number}</td>`)
    t.equal(itemsInCartOn(page), 0)
  })

  t.test('asks guests to sign in before they check out', async t => {
    const visitor = new Visitor(shop)
    await visitor.open('/')
    await visitor.send('/cart/mug/add')
    await visitor.open('/cart')
    t.equal((await visitor.send('/checkout')).path, '/sign-in')
    const page = await visitor.send('/sign-in', { name: 'ada', password: 'difference engine' })
    t.equal(page.path, '/cart')
    t.equal(itemsInCartOn(page), 1)
  })

  t.test('places one order when the button is pressed five times at once', async t => {
    const visitor = new Visitor(shop)
    await visitor.signIn()
    await visitor.send('/cart/mug/add')
    await Promise.all(Array.from({ length: 5 }, () => visitor.post('/checkout')))
    const { html } = await visitor.open('/orders')
    t.equal(html.match(/<td>SL-/g)?.length, 1)
  })

  t.test('gives a faulty form back as it was sent, with a word on each fault, once', async t => {
    const visitor = new Visitor(shop)
    await visitor.open('/contact')
    const page = await visitor.send('/contact', { name: 'O\'Neill "Pat" <pat>', email: 'nowhere', text: 'Hi' })
    t.equal(page.path, '/contact')
    t.equal(valueOf('name', page), 'O&#39;Neill &#34;Pat&#34; &#60;pat&#62;')
    t.equal(valueOf('email', page), 'nowhere')
    t.equal(errorOf('name', page), undefined)
    t.equal(errorOf('email', page), 'This does not look like an e-mail address.')
    t.match(errorOf('text', page), 'Please write a little more')
    const again = await visitor.open('/contact')
    t.equal(valueOf('email', again), '')
    t.equal(errorOf('email', again), undefined)
  })

  t.test('thanks for a form without a fault', async t => {
    const visitor = new Visitor(shop)
    await visitor.open('/contact')
    const page = await visitor.send('/contact', { name: 'Pat', email: 'pat@example.com', text: 'I like the lamp.' })
    t.equal(messageOn(page), 'Thank you, Pat. We will write back to pat@example.com.')
    t.equal(valueOf('name', page), '')
  })

  t.test('refuses a form with a forged token, with none, and with one from before signing in', async t => {
    const visitor = new Visitor(shop)
    await visitor.open('/')
    t.equal((await visitor.post('/cart/mug/add', { _token: 'x'.repeat(40) })).status, 419)
    t.equal((await visitor.request('/cart/mug/add', { method: 'POST' })).status, 419)
    const { token } = visitor
    await visitor.signIn()
    const page = await visitor.send('/cart/mug/add', { _token: token })
    t.equal(page.status, 419)
    t.match(page.html, 'This page has expired')
    t.equal(itemsInCartOn(page), 0)
  })

  t.test('leads back from a refused form to its page, which has what was entered', async t => {
    const visitor = new Visitor(shop)
    await visitor.open('/contact')
    visitor.referer = `${shop.origin}/contact`
    const refused = await visitor.send('/contact', { _token: 'old', name: 'Pat', email: 'pat@example.com', text: 'I like the lamp.' })
    t.equal(refused.status, 419)
    t.match(refused.html, `href="${shop.origin}/contact">Back to the form<`)
    t.equal(valueOf('email', await visitor.open('/contact')), 'pat@example.com')
  })

  t.test('keeps nothing of a refused form that another site has sent', async t => {
    const visitor = new Visitor(shop)
    visitor.referer = 'http://evil.example/contact'
    const refused = await visitor.send('/contact', { name: 'Eve' })
    t.equal(refused.status, 419)
    t.notMatch(refused.html, 'Back to the form')
    t.equal(visitor.cookie, '', 'it begins no session either')
  })

  t.test('shows the session as it is stored: by its key, and without the id', async t => {
    const visitor = new Visitor(shop)
    await visitor.signIn()
    await visitor.send('/cart/mug/add')
    const { html } = await visitor.open('/session')
    const key = /<code class="key">([0-9a-f]{64})</.exec(html)?.[1] ?? ''
    t.ok(readdirSync(shop.files).includes(key))
    t.match(html, '&#34;userId&#34;: &#34;ada&#34;')
    t.notMatch(html, visitor.cookie.split('=')[1])
  })

  t.test('shows all devices of a user, and signs out one, or all others', async t => {
    const [phone, laptop, tablet, other] = [new Visitor(shop), new Visitor(shop), new Visitor(shop), new Visitor(shop)]
    phone.userAgent = 'Mozilla/5.0 (Linux; Android 15) Chrome/140.0 Safari/537.36'
    laptop.userAgent = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'
    t.equal((await other.open('/devices')).path, '/sign-in')
    await laptop.signIn('grace', 'nanosecond')
    // Where other tests have signed in.
    await laptop.send('/devices/sign-out-others')
    for (const visitor of [phone, tablet]) await visitor.signIn('grace', 'nanosecond')
    await other.signIn()
    const { html } = await laptop.open('/devices')
    t.same(namesOn(html), ['A browser', 'Chrome on Android', 'Firefox on Linux'])
    t.match(/<h2>Firefox on Linux<[^]*?<\/li>/.exec(html)?.[0], 'This device')
    t.equal(html.match(/This device/g)?.length, 1)
    t.match(html, 'From 127.0.0.1.')

    const action = /<h2>Chrome on Android<[^]*?action="([^"]+)"/.exec(html)?.[1] ?? ''
    t.equal(messageOn(await other.send(action)), 'That device was not signed in any more.', 'no other user can')
    t.equal(messageOn(await laptop.send(action)), 'That device is signed out.')
    t.notMatch((await phone.open('/')).html, '<span>Grace</span>')

    const again = new Visitor(shop)
    await again.signIn('grace', 'nanosecond')
    const page = await laptop.send('/devices/sign-out-others')
    t.equal(messageOn(page), '2 other devices signed out.')
    t.same(namesOn(page.html), ['Firefox on Linux'])
    t.match(page.html, 'You are signed in nowhere else.')
    for (const visitor of [again, tablet]) t.notMatch((await visitor.open('/')).html, '<span>Grace</span>')
    t.match((await other.open('/')).html, '<span>Ada</span>')
    t.equal(messageOn(await laptop.send('/devices/sign-out-others')), 'You are signed in nowhere else.')
  })

  t.test('tells a page at once that it is signed out, if it listens too late', async t => {
    t.equal((await new Visitor(shop).open('/devices/watch')).html, 'event: signed-out\ndata:\n\n')
  })

  t.test('knows the visitor on its error pages, and says there what was flashed', async t => {
    const visitor = new Visitor(shop)
    await visitor.signIn()
    await visitor.post('/cart/mug/add')
    const missing = await visitor.open('/nowhere')
    t.equal(missing.status, 404)
    t.match(missing.html, '<span>Ada</span>')
    t.equal(messageOn(missing), 'Stoneware mug added to your cart.')
    t.equal((await visitor.send('/cart/unicorn/add')).status, 404)
    const broken = await visitor.request('/broken')
    t.equal(broken.status, 500)
    t.equal(broken.headers.get('content-type'), 'text/html; charset=utf-8')
    t.match(await broken.text(), '<span>Ada</span>')
  })
})

for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
  t.test(`nothing is lost when the server ends by ${signal} and starts again`, async t => {
    const shop = await openShop(t)
    const visitor = new Visitor(shop)
    await visitor.signIn()
    await visitor.send('/cart/mug/add')
    await visitor.send('/checkout')
    await visitor.send('/cart/lamp/add')
    await visitor.open('/contact')
    await visitor.post('/cart/plant/add')

    const code = await shop.stop(signal)
    t.equal(code, signal === 'SIGTERM' ? 0 : null)
    await shop.start()

    const page = await visitor.open('/orders')
    t.match(page.html, '<span>Ada</span>')
    t.match(page.html, '<td>SL-')
    t.equal(itemsInCartOn(page), 2)
    t.equal(messageOn(page), 'Potted plant added to your cart.', 'what was flashed before is said after')
    t.equal(itemsInCartOn(await visitor.send('/cart/plant/add')), 3, 'forms from before are still good')
  })
}

t.test('a page that listens for its end does not keep the server from closing', async t => {
  const shop = await openShop(t)
  const visitor = new Visitor(shop)
  await visitor.signIn()
  const { headers, body } = await visitor.request('/devices/watch')
  t.equal(headers.get('content-type'), 'text/event-stream')
  t.equal(await shop.stop('SIGTERM'), 0)
  await body?.cancel()
})

t.test('nothing that was answered is lost when the server is killed in the middle of many requests', async t => {
  const shop = await openShop(t)
  const visitor = new Visitor(shop)
  await visitor.open('/')
  let answered = 0
  const clicks = Array.from({ length: 60 }, async () => {
    await visitor.post('/cart/mug/add')
    if (++answered === 10) await shop.stop('SIGKILL')
  })
  await Promise.allSettled(clicks)
  await shop.start()
  const kept = itemsInCartOn(await visitor.open('/cart'))
  t.ok(kept >= answered && kept <= 60, `${answered} were answered, ${kept} are kept`)
})
