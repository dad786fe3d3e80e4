/**
 * Two tabs of one visitor around the end of a session: whatever a request does that was under way while the session ended,
 * nothing comes back, and its answer does not touch the cookie that the browser has by then.
 */
import { readdirSync } from 'node:fs'
import t, { type Test } from 'tap'
import type { SessionOptions } from '../../src/index.ts'
import type { Visitor } from '../helpers/client.ts'
import { act, dataOf, result, type Server, startSeveral, type Step } from './servers.ts'

/** What the late request does, for every way in which a request can come to write. */
const paths: Record<string, readonly Step[]> = {
  put: [['put', 'late', true]],
  'nested put': [['put', 'user.late', true]],
  forget: [['forget', 'user']],
  flush: [['flush']],
  replace: [['replace', { late: true }]],
  increment: [['increment', 'count']],
  push: [['push', 'list', 'late']],
  pull: [['pull', 'user']],
  remember: [['remember', 'late', true]],
  'change in place': [['change', 'list', 'late']],
  flash: [['flash', 'late', true]],
  now: [['now', 'late', true]],
  reflash: [['reflash']],
  'old input': [['flashInput', { late: true }]],
  token: [['token']],
  regenerateToken: [['regenerateToken']],
  setPreviousUrl: [['setPreviousUrl', 'http://localhost/late']],
  'save()': [['put', 'late', 1], ['save'], ['put', 'late', 2], ['save'], ['increment', 'late']],
  // All that this one has to store is the ageing of the flash it has seen, or a later expiry.
  reading: [],
  regenerate: [['regenerate']],
  migrate: [['migrate'], ['put', 'late', true]],
  'signing in': [['regenerate'], ['put', 'user', { name: 'late' }]],
  'signing out': [['invalidate']],
  'signing out and in': [['invalidate'], ['put', 'user', { name: 'late' }]]
}

/** With the cookie of a regenerated session these begin one of their own. */
const SIGN_INS = ['regenerate', 'migrate', 'signing in', 'signing out', 'signing out and in']

interface Ending {
  /** Ends the session, and returns what the visitor's session holds after it. */
  readonly end: (ada: Visitor, server: Server, servers: readonly Server[]) => Promise<Record<string, unknown>>
  /** Whether the session goes on under another id: then a request that begins with the old cookie is detached, and otherwise a new visitor's. */
  readonly isRegenerated: boolean
}

const BEGUN = { user: { name: 'ada' }, list: ['a'], count: 1 }
const IDLE_TIMEOUT = 120 * 60

const endings: Record<string, Ending> = {
  'the visitor signs out': {
    isRegenerated: false,
    async end (ada) {
      await result(ada, ['invalidate'])
      return {}
    }
  },
  'the visitor signs out and is given another session': {
    isRegenerated: false,
    async end (ada) {
      await result(ada, ['invalidate'], ['put', 'message', 'goodbye'])
      return { message: 'goodbye' }
    }
  },
  'the visitor signs in': {
    isRegenerated: true,
    async end (ada) {
      await result(ada, ['regenerate'], ['put', 'user', { name: 'countess' }])
      return { ...BEGUN, user: { name: 'countess' } }
    }
  },
  'the session gets a new id': {
    isRegenerated: true,
    async end (ada) {
      await result(ada, ['migrate'])
      return BEGUN
    }
  },
  'the session is revoked': {
    isRegenerated: false,
    async end (ada, server) {
      await server.control('POST', `end/${String(await result(ada, ['key']))}/60`)
      return {}
    }
  },
  'the session is removed from the store': {
    isRegenerated: false,
    async end (ada, server) {
      await server.control('POST', `end/${String(await result(ada, ['key']))}/0`)
      return {}
    }
  },
  'the session expires': {
    isRegenerated: false,
    async end (_ada, _server, servers) {
      await Promise.all(servers.map(async server => { await server.advance(IDLE_TIMEOUT + 1) }))
      return {}
    }
  }
}

const settings: Record<string, readonly [processes: number, options: (t: Test) => SessionOptions]> = {
  'in memory': [1, () => ({ driver: 'memory' })],
  'in files': [1, t => ({ files: t.testdir() })],
  'in files that two processes share': [2, t => ({ files: t.testdir() })]
}

for (const [setting, [processes, options]] of Object.entries(settings)) {
  t.test(`sessions ${setting}`, async t => {
    const { files, ...others } = options(t)
    const servers = await startSeveral(t, processes, { ...others, ...files !== undefined && { files } })
    const [server = none(), another = server] = servers
    for (const [ending, { end, isRegenerated }] of Object.entries(endings)) {
      await t.test(`a request that is under way while ${ending} is detached`, async t => {
        const cases = await Promise.all(Object.entries(paths).map(async ([path, steps]) => {
          const [ada, key] = await beginning(server)
          const [tab, stale] = [ada.copy(another.origin), ada.copy(another.origin)]
          const gate = `${ending}, ${path}`
          const late = act(tab, ['all'], ['gate', gate], ...steps)
          await another.reached(gate)
          return { path, steps, ada, stale, key, gate, late }
        }))
        // Enough for a request that only reads to move the expiry, and with it the cookie.
        for (const each of servers) await each.advance(120)
        const expected = await Promise.all(cases.map(async ({ ada }) => await end(ada, server, servers)))

        await Promise.all(cases.map(async ({ path, ada, stale, key, gate, late }, index) => {
          await another.open(gate)
          const answer = await late
          t.equal(answer.status, path === 'save()' ? 409 : 200, `${path}: the request itself succeeds, unless it has to know that it has saved`)
          t.same(answer.setCookies, [], `${path}: the browser's cookie is left alone`)
          t.not(await server.control('GET', `found/${key}`), 'a living session', `${path}: the old session stays dead`)
          t.same(await dataOf(ada.copy()), expected[index], `${path}: the session that the browser has by now is untouched`)
          t.same(await dataOf(stale), {}, `${path}: the old cookie opens nothing`)
        }))

        if (!isRegenerated) return
        const before = countSessions(files)
        const others = cases.filter(({ path }) => !SIGN_INS.includes(path))
        await Promise.all(others.map(async ({ path, steps, ada, stale }) => {
          const later = await act(stale, ...steps)
          t.equal(later.status, path === 'save()' ? 409 : 200, `${path}, begun after the end: the request itself succeeds, unless it has to know that it has saved`)
          t.same(later.setCookies, [], `${path}, begun after the end: the browser's cookie is left alone`)
          t.same(await dataOf(ada.copy()), expected[cases.findIndex(each => each.ada === ada)], `${path}, begun after the end: the browser's session is untouched`)
        }))
        t.equal(countSessions(files), before, 'nothing is stored by requests that begin after the end')
      })
    }

    await t.test('a request with the cookie of a session that has expired or been removed begins another one, under another id', async t => {
      for (const ending of ['the session is removed from the store', 'the session expires']) {
        const [ada] = await beginning(server)
        const old = ada.cookieHeader
        await endings[ending]?.end(ada, server, servers)
        const { setCookies } = await act(ada, ['increment', 'count'])
        t.equal(setCookies.length, 1, ending)
        t.not(ada.cookieHeader, old, ending)
        t.same(await dataOf(ada), { count: 1 }, ending)
      }
    })

    await t.test('of sixty requests of the old cookie around signing in, each one\'s increment is in the new session or was reported as dropped', async t => {
      for (let round = 0; round < 5; round++) {
        const [ada] = await beginning(server)
        const before = await dropped(servers)
        const requests = around(ada, servers, n => [['increment', 'count'], ['put', `key${n}`, true]])
        const login = requests[30]?.then(async () => await result(ada, ['regenerate'], ['put', 'user', { name: 'countess' }]))
        const answers = await Promise.all(requests)
        await login
        t.ok(answers.every(({ status, setCookies }) => status === 200 && setCookies.length === 0), 'no answer touches the cookie')
        const { count, user } = await dataOf(ada) as typeof BEGUN
        t.same(user, { name: 'countess' })
        t.equal(count - 1 + await dropped(servers) - before, answers.length)
      }
    })

    await t.test('sixty requests of the old cookie around signing out leave nothing of the old session', async t => {
      for (let round = 0; round < 5; round++) {
        const [ada, key] = await beginning(server)
        const stale = ada.copy()
        const requests = around(ada, servers, n => [['increment', 'count'], ['flash', `key${n}`, true]])
        const logout = requests[30]?.then(async () => await act(ada, ['invalidate']))
        const answers = await Promise.all(requests)
        t.match((await logout)?.setCookies, [{ value: '', attributes: { 'max-age': '0' } }], 'signing out clears the cookie')
        t.equal(await server.control('GET', `found/${key}`), 'gone')
        t.same(await dataOf(stale), {})
        // Those that began afterwards are a new visitor's.
        for (const { status, setCookies } of answers) {
          t.equal(status, 200)
          for (const { name, value } of setCookies) {
            const other = server.visitor()
            other.cookies.set(name, value)
            t.match(await dataOf(other), { count: 1, user: undefined, list: undefined })
          }
        }
      }
    })
  })
}

/** A visitor whose session has data, a flash and old input in it, and the session's key. */
async function beginning (server: Server): Promise<[Visitor, string]> {
  const ada = server.visitor()
  const key = await result(ada, ['replace', BEGUN], ['flash', 'status', 'welcome'], ['flashInput', { name: 'ada' }], ['key'])
  return [ada, String(key)]
}

/** How many sessions, or tombstones of them, a directory has. */
function countSessions (directory: SessionOptions['files']): number {
  if (directory == null) return 0
  return readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter(name => /[0-9a-f]{64}$/.test(name)).length
}

/** Sends sixty requests, ten at a time, spread over the servers. */
function around (ada: Visitor, servers: readonly Server[], steps: (n: number) => Step[]): ReturnType<typeof act>[] {
  const requests: ReturnType<typeof act>[] = []
  for (let n = 0; n < 60; n++) {
    const tab = ada.copy(servers[n % servers.length]?.origin)
    const before = requests[n - 10]
    requests.push(before === undefined ? act(tab, ...steps(n)) : before.then(async () => await act(tab, ...steps(n))))
  }
  return requests
}

async function dropped (servers: readonly Server[]): Promise<number> {
  const warnings = (await Promise.all(servers.map(async server => await server.warnings()))).flat()
  return warnings.filter(({ code, keys }) => code === 'AMBIENT_SESSION_DROPPED' && keys?.includes('count') === true).length
}

function none (): never {
  throw new Error('there is no server')
}
