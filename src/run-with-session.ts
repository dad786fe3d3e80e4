/** `runWithSession()`: a session outside of a request, as in a job, a test or a message of a socket. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { runInScope } from './context.ts'
import { SessionConfigError, SessionEndedError, SessionHeadersSentError, SessionNotFoundError, SessionUsageError } from './errors.ts'
import type { PluginContext } from './http/plugin-context.ts'
import { findPresented, findSession } from './http/presented-session.ts'
import type { SessionEnds } from './http/session-ends.ts'
import { reportToProcess } from './report.ts'
import { SessionChanges } from './session/changes.ts'
import { CommitQueue, droppedWarning } from './session/commit-queue.ts'
import { isSessionId, keyOf } from './session/id.ts'
import type { SessionValues } from './session/keys.ts'
import { loadAgain, type LoadResult, NOTHING, OVER } from './session/load.ts'
import { isPlainPrototype } from './session/plain.ts'
import { quoted } from './session/names.ts'
import type { Tree } from './session/paths.ts'
import { plainPayload } from './session/payload.ts'
import { Session, type SessionHost } from './session/session.ts'
import type { SessionSettings } from './session/settings.ts'
import { emptyState } from './session/state.ts'
import { decode, encode } from './session/values.ts'
import { nullStore } from './stores/null.ts'
import { CURRENT, PLUGIN } from './symbols.ts'

/** A stored session, by the application that keeps it and the id in its cookie. */
export interface StoredSession {
  readonly app: FastifyInstance
  readonly id: string
}

/** The session of a visitor outside of Fastify's requests, by the Cookie header that came with a handshake. */
export interface PresentedSession {
  readonly app: FastifyInstance
  /** As in `socket.handshake.headers.cookie` of Socket.IO. */
  readonly cookie: string | undefined
}

/** What is needed to work on a session outside of its request. */
interface Opened {
  readonly found: LoadResult
  readonly settings: SessionSettings
  readonly config: SessionHost['config']
  readonly request?: FastifyRequest
  /** Told of a session that the function ends. */
  readonly ends?: SessionEnds
}

/** For a session that is kept nowhere. */
const nowhere = {
  settings: { store: nullStore, format: plainPayload, lifetime: { idle: 0, absolute: undefined }, grace: 0, maxBytes: Infinity, report: reportToProcess },
  config: { cookie: 'session', dontFlash: [], csrf: false }
} as const

/**
 * Runs a function with a session outside of a request's flow: in a job, a test, a REPL, for a message of a socket, or after
 * the response.
 *
 * - `{ app, id }` opens the stored session with this id.
 * - `{ app, cookie }` opens the session that a Cookie header names; of a visitor without one it is empty.
 * - A FastifyRequest has its session opened afresh, as it is stored now; of a visitor without one it is empty.
 * - Any other object is the data of a session that is stored nowhere.
 *
 * A stored session is committed when the function has ended, also if it throws. Flash data does not age, and the session's end
 * does not move.
 *
 * @returns what the function returns; a promise of it, unless the session is stored nowhere
 * @throws SessionUsageError (rejects with) when it is given none of these
 * @throws SessionNotFoundError (rejects with) when there is no living session with this id
 * @throws SessionHeadersSentError (rejects with) when the function began a session or gave it a new id, of which no browser can
 *   be told
 * @example
 * ```ts
 * await runWithSession({ app, id }, async () => { session().increment('jobs') })
 * socket.on('message', () => { runWithSession(request, () => { session().increment('messages') }).catch(log) })
 * runWithSession({ user: { name: 'Ada' } }, () => greet())
 * ```
 */
export function runWithSession<T> (target: StoredSession | PresentedSession | FastifyRequest, fn: () => T): Promise<Awaited<T>>
export function runWithSession<T> (target: SessionValues, fn: () => T): T
export function runWithSession (target: StoredSession | PresentedSession | FastifyRequest | SessionValues, fn: () => unknown): unknown {
  if (isRequest(target)) return runStored(reopen(target), fn)
  if (isStored(target)) return runStored(openById(target), fn)
  if (isPresented(target)) return runStored(openByCookie(target), fn)
  if (isNoData(target)) return Promise.reject(new SessionUsageError(NO_TARGET))
  return runInScope(scopeOf({ ...nowhere, found: startWith(target) }).scope, fn)
}

async function runStored (opening: Promise<Opened>, fn: () => unknown): Promise<unknown> {
  const { scope, commit, report } = scopeOf(await opening)
  try {
    const result = await runInScope(scope, async () => await fn()).catch(async (error: unknown) => {
      // What the function threw says more than why its changes could not be stored.
      await commit().catch(report)
      throw error
    })
    await commit()
    return result
  } finally {
    scope.isClosed = true
  }
}

async function openById ({ app, id }: StoredSession): Promise<Opened> {
  const context = await contextOf(app)
  const found = isSessionId(id) ? await findSession(context.settings, { id, key: keyOf(id) }, Date.now()) : NOTHING
  if (found.origin.kind !== 'stored') {
    throw new SessionNotFoundError('there is no session with this id: it has expired, was ended or regenerated, or this is a key and not an id')
  }
  return { ...context, found }
}

async function openByCookie ({ app, cookie: header }: PresentedSession): Promise<Opened> {
  const request = { headers: { cookie: header }, protocol: 'http' } as const
  const context = (await contextOf(app)).forRequest({ canLeave: false })
  return { ...context, found: await findPresented(context, request) }
}

/**
 * The request's session as it is stored now. It is not followed to a new id: who opened a socket with an id that was planted in
 * a visitor's browser would be let into the session that the visitor signs in to.
 */
async function reopen (request: FastifyRequest): Promise<Opened> {
  const current = request[CURRENT]
  if (current == null) throw new SessionConfigError(['the request has no session yet: it begins in the onRequest hook of ambient-session'], 'runWithSession(request)')
  const { session, context } = current
  const found = session.isEnded ? OVER : session.isNew ? NOTHING : await findAgain(context, session)
  return { ...context, found, request }
}

async function findAgain ({ settings, ends }: PluginContext, session: Session): Promise<LoadResult> {
  const { key } = session
  const found = await settings.store.read(key)
  const result = loadAgain(settings, session, found)
  if (result !== OVER) return result
  ends.foundOver(key, found)
  // Who watches the session is told first, and may close what the function would write to.
  await new Promise<void>(resolve => { process.nextTick(resolve) })
  return result
}

async function contextOf (app: FastifyInstance): Promise<PluginContext> {
  // In hooks of the start and of the close, ready() would wait for what calls this.
  if (!app.hasDecorator(PLUGIN)) await app.ready()
  if (app.hasDecorator(PLUGIN)) return app[PLUGIN]
  throw new SessionConfigError(['the app has not registered ambient-session'], 'runWithSession({ app, … })')
}

/** @returns what the function is run in, what commits what it did, and what tells of a commit that failed */
function scopeOf ({ found, settings, config, request, ends }: Opened) {
  const changes = new SessionChanges({ load: () => found, agesFlashData: false, extendsExpiry: false })
  const queue = new CommitQueue(changes, settings)
  const commit = async (): Promise<string> => {
    const { outcome, dropped = [], left } = await queue.commit(settings === nowhere.settings ? undefined : refuseToIssue)
    ends?.leave(left)
    if (dropped.length > 0) settings.report(droppedWarning('a job\'s changes to a session', changes.key, dropped))
    return outcome
  }
  const save = async (): Promise<void> => {
    if (await commit() === 'dropped') throw new SessionEndedError('nothing was saved, because the session has ended')
  }
  const session = new Session(changes, { config, save, reload: () => queue.reload(), inTurn: async step => await queue.run(step) })
  const report = (cause: unknown): void => {
    const keys = changes.unsaved
    settings.report({ code: 'AMBIENT_SESSION_UNSAVED', message: `a job failed, and its changes to its session could not be stored: ${quoted(keys)}`, keys, cause })
  }
  return { scope: { session, request, hasSession: true, isClosed: false }, commit, report }
}

function refuseToIssue (): never {
  throw new SessionHeadersSentError('a session cannot begin or get a new id outside of a request, because no browser can be told of it; ' +
    'end it with invalidate(), or begin or regenerate it in a request')
}

function startWith (data: SessionValues): LoadResult {
  return { ...NOTHING, state: { ...emptyState(), data: decode(encode(data, 'session')) as Tree } }
}

const NO_TARGET = 'runWithSession() takes a request of an application with ambient-session, { app, id } with the id of a session, ' +
  '{ app, cookie } with the Cookie header of a client, or an object of data'

/** What was meant to be something else, and is no data of a session. */
function isNoData (target: unknown): boolean {
  return typeof target !== 'object' || target === null || !isPlainPrototype(Object.getPrototypeOf(target)) || isOfApp(target) || isWithoutApp(target)
}

/** What names a session, but no application that has it. */
function isWithoutApp (target: object): boolean {
  const [[key, value] = [], ...others] = Object.entries(target) as Array<[string, unknown]>
  if (others.length > 0 || typeof value !== 'string') return false
  return key === 'id' ? isSessionId(value) : key === 'cookie' && value.includes('=')
}

function isRequest (target: unknown): target is FastifyRequest {
  return typeof target === 'object' && target !== null && CURRENT in target
}

function isStored (target: unknown): target is StoredSession {
  return isOfApp(target) && 'id' in target && typeof target.id === 'string'
}

function isPresented (target: unknown): target is PresentedSession {
  return isOfApp(target) && 'cookie' in target && (target.cookie === undefined || typeof target.cookie === 'string')
}

function isOfApp (target: unknown): target is { readonly app: FastifyInstance } {
  return typeof target === 'object' && target !== null && 'app' in target && typeof target.app === 'object' && target.app !== null && 'addHook' in target.app
}
