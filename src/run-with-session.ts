import type { FastifyInstance } from 'fastify'
import type { Scope } from './context.ts'
import { runInScope } from './context.ts'
import { SessionConfigError, SessionNotFoundError } from './errors.ts'
import { HOST } from './plugin.ts'
import { isSessionId, keyOf } from './session/id.ts'
import type { Keeper } from './session/keeper.ts'
import { startFrom } from './session/keeper.ts'
import type { SessionValues } from './session/keys.ts'
import { KnownSessions } from './session/known.ts'
import { plainPayload } from './session/payload.ts'
import { CommitSequence } from './session/sequence.ts'
import { Session } from './session/session.ts'
import { NOTHING, Opened, Start } from './session/start.ts'
import { UnitOfWork } from './session/unit-of-work.ts'
import type { Tree } from './session/paths.ts'
import { emptyState } from './session/state.ts'
import { encode, decode } from './session/values.ts'
import { nullStore } from './stores/null.ts'

/** A stored session, by the application that keeps it and the id in its cookie. */
export interface StoredSession {
  readonly app: FastifyInstance
  readonly id: string
}

/** Enough of a keeper for a session that is kept nowhere. */
const nowhere: Keeper = {
  store: nullStore,
  format: plainPayload,
  lifetime: { idle: 0, absolute: undefined },
  grace: 0,
  maxBytes: Infinity,
  known: new KnownSessions(),
  report: () => {}
}

/**
 * Runs a function with a session although there is no request: in a job, a test, a REPL.
 *
 * Given `{ app, id }` the stored session is opened, and committed when the function has ended, however it ended. Given any
 * other object the session holds that data and is stored nowhere.
 *
 * @returns what the function returns; a promise of it for a stored session
 * @throws SessionNotFoundError (rejects with) when there is no living session with this id
 * @example
 * ```ts
 * await runWithSession({ app, id }, async () => { session().increment('jobs') })
 * runWithSession({ user: { name: 'Ada' } }, () => greet())
 * ```
 */
export function runWithSession<T> (target: StoredSession, fn: () => T): Promise<Awaited<T>>
export function runWithSession<T> (target: SessionValues, fn: () => T): T
export function runWithSession (target: StoredSession | SessionValues, fn: () => unknown): unknown {
  return isStored(target) ? runWithStored(target, fn) : runInScope(scopeOf(startWith(target), nowhere, 'session').scope, fn)
}

async function runWithStored ({ app, id }: StoredSession, fn: () => unknown): Promise<unknown> {
  await app.ready()
  if (!app.hasDecorator(HOST)) throw new SessionConfigError(['the app has not registered ambient-session'], 'runWithSession({ app, id })')
  const { keeper, cookie } = app[HOST]
  const key = isSessionId(id) ? keyOf(id) : undefined
  const start = isSessionId(id) && key !== undefined ? startFrom(keeper, id, key, await keeper.store.read(key)) : NOTHING
  if (start.origin.kind !== 'stored') {
    throw new SessionNotFoundError('there is no session with this id: it has expired, was ended or regenerated, or this is a key and not an id')
  }
  const { scope, commits } = scopeOf(start, keeper, cookie.name)
  try {
    return await runInScope(scope, fn)
  } finally {
    await commits.commit()
  }
}

function scopeOf (start: Start, keeper: Keeper, name: string): { scope: Scope, commits: CommitSequence } {
  const work = new UnitOfWork({ find: () => start })
  const commits = new CommitSequence(work, keeper)
  const session = new Session(work, { name, save: async () => { await commits.commit() }, reload: () => commits.reload() })
  return { scope: { session, hasSession: true }, commits }
}

function startWith (data: SessionValues): Start {
  return new Start(NOTHING.origin, new Opened(undefined, { ...emptyState(), data: decode(encode(data, 'session')) as Tree }, false))
}

function isStored (target: StoredSession | SessionValues): target is StoredSession {
  return typeof target.id === 'string' && typeof target.app === 'object' && target.app !== null && 'addHook' in target.app
}
