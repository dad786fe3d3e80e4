/**
 * Sessions as an application sees them. A `Browser` is one visitor of an application; `visit` runs a function in the
 * handler of one whole request of that visitor, from cookie to commit.
 */
import Fastify, { type FastifyInstance } from 'fastify'
import ambientSession, { isRecord, type MaybePromise, MemoryStore, type Session, type SessionOptions, type SessionStore, type StoredRecord, type StoreKey } from '../../src/index.ts'

export interface Warning {
  readonly code: string
  readonly msg: string
  readonly key?: string
  readonly keys?: readonly string[]
}

export interface Visit {
  readonly readonly?: boolean
}

export interface Browser {
  /** The session cookie's value. */
  cookie: string | undefined
  /** The Set-Cookie headers of the last response. */
  setCookie: readonly string[]
  /**
   * Runs a function in a request.
   *
   * @returns what the function returned
   * @throws what the function threw, or an error that names the status when the response was a failure
   */
  visit<T> (use: (session: Session) => T | Promise<T>, options?: Visit): Promise<T>
}

export interface Application {
  readonly app: FastifyInstance
  readonly store: SessionStore
  /** Everything logged as a warning. */
  readonly warnings: Warning[]
  /** @param cookie another browser's, to be the same one in a second tab */
  readonly browser: (cookie?: string) => Browser
}

/** Only what is needed of a tap test. */
interface Scope {
  teardown (fn: () => Promise<void>): void
}

const COOKIE = 'ambient_session'

export async function application (t: Scope, options: SessionOptions = {}): Promise<Application> {
  const warnings: Warning[] = []
  const stream = { write: (line: string) => { warnings.push(JSON.parse(line) as Warning) } }
  const app = Fastify({ logger: { level: 'warn', stream } })
  t.teardown(async () => { await app.close() })
  const { driver = new MemoryStore(), ...others } = options
  await app.register(ambientSession, { driver, sweep: false, ...others })

  const visits = new Map<string, (session: Session) => unknown>()
  let number = 0
  for (const readonly of [false, true]) {
    app.get(readonly ? '/readonly' : '/', { config: { session: { readonly } } }, async request => {
      await visits.get(String(request.headers['x-visit']))?.(request.session())
      return 'done'
    })
  }

  function browser (cookie?: string): Browser {
    const self: Browser = {
      cookie,
      setCookie: [],
      async visit (use, { readonly = false } = {}) {
        type Result = Awaited<ReturnType<typeof use>>
        const id = String(++number)
        let outcome = (): Result => { throw new Error('the handler was not reached') }
        visits.set(id, async session => {
          try {
            const result = await use(session) as Result
            outcome = () => result
          } catch (error) {
            outcome = () => { throw error }
          }
        })
        const cookies = self.cookie === undefined ? {} : { [COOKIE]: self.cookie }
        const { statusCode, body, cookies: sent, headers } = await app.inject({ url: readonly ? '/readonly' : '/', headers: { 'x-visit': id }, cookies })
        visits.delete(id)
        if (statusCode !== 200) throw new Error(`${statusCode}: ${body}`)
        for (const { name, value, maxAge } of sent) if (name === COOKIE) self.cookie = maxAge === 0 ? undefined : value
        self.setCookie = [headers['set-cookie'] ?? []].flat()
        return outcome()
      }
    }
    return self
  }

  return { app, store: driver as SessionStore, warnings, browser }
}

/** A browser of an application of its own. */
export async function browser (t: Scope, options?: SessionOptions): Promise<Browser> {
  return (await application(t, options)).browser()
}

/** A browser that has been there before, with this data in its session. */
export async function browserWith (t: Scope, data: Record<string, unknown>, options?: SessionOptions): Promise<Browser> {
  const visitor = await browser(t, options)
  await visitor.visit(session => { session.replace(data) })
  return visitor
}

/** What a browser's session holds once it has been stored and read again. */
export async function stored (visitor: Browser): Promise<Record<string, unknown>> {
  return await visitor.visit(session => session.all(), { readonly: true })
}

type Method = 'read' | 'compareAndSet' | 'touch' | 'destroy'

/** A store in which calls are counted, can be waited for and can be made to fail. */
export interface WatchedStore extends SessionStore {
  readonly calls: Method[]
  /** Every key that was ever written. */
  readonly keys: Set<StoreKey>
  /** Called before each write is passed on, and after it; what it throws is what the caller gets. */
  before: (method: Method) => void | Promise<void>
  after: (method: Method) => void | Promise<void>
}

/** @param inner where records really are */
export function watched (inner: SessionStore = new MemoryStore()): WatchedStore {
  async function pass<T> (method: Method, key: StoreKey, call: () => MaybePromise<T>): Promise<T> {
    store.calls.push(method)
    store.keys.add(key)
    await store.before(method)
    const answer = await call()
    await store.after(method)
    return answer
  }
  const store: WatchedStore = {
    readsSynchronously: true,
    calls: [],
    keys: new Set(),
    before: () => {},
    after: () => {},
    read (key) {
      store.calls.push('read')
      return inner.read(key)
    },
    compareAndSet: async (key, ...others) => await pass('compareAndSet', key, () => inner.compareAndSet(key, ...others)),
    touch: async (key, expiresAt) => await pass('touch', key, () => inner.touch(key, expiresAt)),
    destroy: async (key, ...others) => await pass('destroy', key, () => inner.destroy(key, ...others))
  }
  return store
}

/** Runs a function the next time a method is called, and not for the calls that it causes. */
export function once (method: Method, fn: () => void | Promise<void>): (called: Method) => void | Promise<void> {
  let isDue = true
  return called => {
    if (called !== method || !isDue) return
    isDue = false
    return fn()
  }
}

/** What is stored under all keys that were ever written. */
export async function living (store: WatchedStore): Promise<StoredRecord[]> {
  const found = await Promise.all([...store.keys].map(async key => await store.read(key)))
  return found.filter(isRecord)
}
