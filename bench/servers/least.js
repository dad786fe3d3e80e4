/**
 * The least that sessions in memory take, to tell what safeguards cost: an AsyncLocalStorage, the hash of the cookie, and the
 * session as JSON in a Map. It checks nothing, and loses what is written at the same time.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import { hash, randomBytes } from 'node:crypto'
import { serve } from './serve.js'
import { LIFETIME, newVisitor } from './visitor.js'

const NAME = 'session='
const ID_LENGTH = 43

const stored = new Map()
const context = new AsyncLocalStorage()

class LeastSession {
  #cookie
  #key
  #data
  isChanged = false

  constructor (cookie) {
    this.#cookie = cookie
  }

  get data () {
    this.#data ??= this.#load()
    return this.#data
  }

  get isUsed () {
    return this.#data !== undefined
  }

  /** @returns the value of a Set-Cookie header, where the session is new */
  store () {
    let line
    if (this.#key === undefined) {
      const id = randomBytes(32).toString('base64url')
      this.#key = hash('sha256', id, 'hex')
      line = `${NAME}${id}; Max-Age=${LIFETIME}; Path=/; HttpOnly; SameSite=Lax`
    }
    stored.set(this.#key, { text: JSON.stringify(this.#data), expiresAt: Date.now() + LIFETIME * 1000 })
    return line
  }

  #load () {
    const at = this.#cookie?.indexOf(NAME) ?? -1
    if (at === -1) return {}
    const first = at + NAME.length
    const key = hash('sha256', this.#cookie.slice(first, first + ID_LENGTH), 'hex')
    const found = stored.get(key)
    if (found === undefined || found.expiresAt < Date.now()) return {}
    this.#key = key
    return JSON.parse(found.text)
  }
}

function register (app) {
  app.decorateRequest('least', null)
  app.addHook('onRequest', (request, reply, done) => {
    request.least = new LeastSession(request.headers.cookie)
    context.run(request.least, done)
  })
  app.addHook('onSend', ({ least }, reply, payload, done) => {
    if (least.isUsed) reply.header('vary', 'Cookie')
    const line = least.isChanged ? least.store() : undefined
    if (line !== undefined) reply.header('set-cookie', line).header('cache-control', 'private')
    done()
  })
}

function change () {
  const least = context.getStore()
  least.isChanged = true
  return least.data
}

await serve({
  register,
  begin () { Object.assign(change(), newVisitor()) },
  name: () => context.getStore().data.name,
  countVisit () { change().visits++ },
  visits: () => context.getStore().data.visits
})
