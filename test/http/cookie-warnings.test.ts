/** Each way in which a cookie does not come back is told once, with what to write. */
import { once } from 'node:events'
import { request as httpsRequest } from 'node:https'
import type { AddressInfo } from 'node:net'
import Fastify, { type FastifyServerOptions } from 'fastify'
import t, { type Test } from 'tap'
import { CookieWarnings } from '../../src/http/cookie-warnings.ts'
import type { SessionWarning } from '../../src/report.ts'
import { resolved } from '../config/helpers.ts'
import { cert, key } from '../helpers/tls.ts'

type Headers = Record<string, string>

/** Sends requests whose responses get the cookie. @returns the messages */
async function told (options: object, requests: Headers[], server: FastifyServerOptions = {}): Promise<string[]> {
  const messages: string[] = []
  const warnings = new CookieWarnings(await resolved(options), ({ code, message }: SessionWarning) => { messages.push(`${code}: ${message}`) })
  const app = Fastify(server)
  app.get('/', (request, reply) => {
    warnings.check(request)
    return reply.send()
  })
  for (const headers of requests) await app.inject({ url: '/', headers })
  return messages
}

const site = { host: 'shop.example' }
const local = { host: 'localhost:3000' }
const proxied = { host: 'shop.example', 'x-forwarded-proto': 'https' }

async function warns (t: Test, options: object, headers: Headers, ...texts: Array<string | RegExp>): Promise<void> {
  const messages = await told(options, [headers, headers, headers])
  t.equal(messages.length, 1, 'it is told once')
  for (const text of [/^AMBIENT_SESSION_COOKIE: the session's cookie was sent /, ...texts]) t.match(messages[0], text)
}

t.test('Secure over plain HTTP', async t => {
  await warns(t, { secure: true }, site, 'plain HTTP with Secure', "leave out secure: true; the default 'auto'")
  await warns(t, { secure: true, cookie: '__Host-sid' }, site, 'plain HTTP with Secure')
})

t.test('Secure over plain HTTP on localhost, which some browsers accept', async t => {
  for (const host of ['localhost', 'localhost:3000', 'shop.localhost', '127.0.0.1:80', '127.1.2.3', '[::1]:3000']) {
    await warns(t, { secure: true }, { host }, 'On localhost Chrome and Firefox keep such a cookie and Safari does not')
  }
  for (const host of ['localhost.example', '128.0.0.1', 'notlocalhost']) await warns(t, { secure: true }, { host }, 'the next request comes without')
  t.equal((await told({ secure: true }, [local, site, local, site])).length, 2, 'what was told of localhost does not hide the other')
})

t.test('a name with a prefix, over plain HTTP', async t => {
  await warns(t, { cookie: '__Host-sid' }, site, 'a cookie without Secure whose name begins with __Host-', 'trustProxy')
  await warns(t, { cookie: '__Secure-sid' }, local, 'a cookie without Secure whose name begins with __Secure-')
})

t.test('SameSite=None and Partitioned over plain HTTP', async t => {
  await warns(t, { sameSite: 'none' }, site, 'browsers do not accept SameSite=None without Secure')
  await warns(t, { sameSite: 'none', partitioned: true }, local, 'browsers do not accept SameSite=None and Partitioned without Secure')
  await warns(t, { partitioned: true }, site, 'browsers do not accept Partitioned without Secure')
})

t.test('a proxy that speaks HTTPS and is not believed', async t => {
  await warns(t, {}, proxied, 'sent without Secure: X-Forwarded-Proto says https', "Fastify({ trustProxy: '127.0.0.1' })")
  await warns(t, {}, { ...proxied, 'x-forwarded-proto': 'http, HTTPS' }, 'X-Forwarded-Proto says https')
  await warns(t, { cookie: '__Host-sid' }, proxied, 'X-Forwarded-Proto says https', 'begins with __Host-')
  await warns(t, { sameSite: 'none' }, proxied, 'X-Forwarded-Proto says https', 'SameSite=None')
  t.match(await told({}, [proxied, proxied], { trustProxy: '192.0.2.1' }), [/X-Forwarded-Proto says https/], 'of another address than the trusted one')
})

t.test('of several proxies the first speaks HTTPS with the browser, and Fastify believes the last', async t => {
  for (const options of [{}, { cookie: '__Host-sid' }]) {
    await warns(t, options, { ...proxied, 'x-forwarded-proto': 'https, http' }, 'has several protocols, https and another one behind it', 'hand on what the first one says')
  }
})

t.test('a domain that the host is not part of', async t => {
  await warns(t, { domain: 'example.com' }, site, 'the domain "example.com" from the host "shop.example"', 'Correct domain, or leave it out')
  await warns(t, { domain: '.example.com' }, { host: 'badexample.com' }, 'from the host "badexample.com"')
  await warns(t, { domain: 'example.com' }, local, 'from the host "localhost"')
  await warns(t, { domain: '1.1' }, { host: '127.0.1.1' }, 'from the host "127.0.1.1"')
  const long = `${'x'.repeat(500)}.example`
  const [message = ''] = await told({ domain: 'example.com' }, [{ host: long }])
  t.notMatch(message, long)
})

t.test('a lifetime that no browser keeps, as one in milliseconds is', async t => {
  await warns(t, { lifetime: 3_600_000 }, site, 'sent for 2500 days, and browsers keep a cookie for 400 at the most', 'for 3600000 milliseconds write lifetime: 60')
  t.same(await told({ lifetime: 576_000 }, [site]), [], '400 days')
  t.same(await told({ lifetime: 3_600_000, absoluteLifetime: 43_200 }, [site]), [], 'it ends earlier')
  t.same(await told({ lifetime: 3_600_000, expireOnClose: true }, [site]), [], 'it ends with the browser')
})

t.test('nothing is said of a cookie that comes back', async t => {
  t.same(await told({}, [site, local]), [])
  t.same(await told({ secure: false, path: '/app' }, [proxied, site]), [])
  t.same(await told({ secure: true }, [proxied]), [], 'the browser came by HTTPS')
  t.same(await told({ cookie: '__Host-sid', secure: true }, [proxied]), [])
  for (const options of [{}, { secure: true }, { cookie: '__Host-sid' }, { sameSite: 'none', partitioned: true }]) {
    t.same(await told(options, [proxied], { trustProxy: true }), [], JSON.stringify(options))
  }
  for (const host of ['example.com', 'EXAMPLE.com:8080', 'www.example.com']) t.same(await told({ domain: '.Example.com' }, [{ host }]), [], host)
  t.same(await told({ domain: 'example.com' }, [{ host: '10.0.0.1', 'x-forwarded-host': 'www.example.com:443' }]), [], 'a proxy changed the host')
})

t.test('nothing is said over HTTPS', async t => {
  const messages: string[] = []
  const config = await resolved({ cookie: '__Host-sid', sameSite: 'none', partitioned: true, secure: true })
  const warnings = new CookieWarnings(config, ({ message }) => { messages.push(message) })
  const app = Fastify({ https: { cert, key } })
  t.teardown(() => app.close())
  app.get('/', (request, reply) => {
    warnings.check(request)
    return reply.send()
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const request = httpsRequest({ port: (app.server.address() as AddressInfo).port, host: '127.0.0.1', rejectUnauthorized: false }).end()
  const [response] = await once(request, 'response') as [NodeJS.ReadableStream]
  response.resume()
  t.same(messages, [])
})
