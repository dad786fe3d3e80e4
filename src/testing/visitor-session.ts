/** The stored session of a visitor, who is known by the Cookie header: reading it and writing it without a request. */
import type { FastifyInstance } from 'fastify'
import { SessionConfigError, SessionEndedError } from '../errors.ts'
import type { CookieRequest } from '../http/cookie.ts'
import type { PluginContext } from '../http/plugin-context.ts'
import { findPresented } from '../http/presented-session.ts'
import { SessionChanges } from '../session/changes.ts'
import { CommitQueue } from '../session/commit-queue.ts'
import type { StoreKey } from '../session/id.ts'
import type { SessionValues } from '../session/keys.ts'
import { valueAt } from '../session/paths.ts'
import { Session } from '../session/session.ts'
import { emptyState } from '../session/state.ts'
import { PLUGIN } from '../symbols.ts'

/** What is stored of a visitor's session. Looking at it ages no flash data. */
export interface VisitorSession {
  /** Whether the visitor has a living session. Without one everything else is empty. */
  readonly exists: boolean
  /** SHA-256 of the session's id: what stores and logs know it by. */
  readonly key: StoreKey | undefined
  readonly userId: string | undefined
  /** All that the application has put, flash data included. */
  readonly data: SessionValues
  /** What is there for one more request only, by its key or dotted path. */
  readonly flash: Readonly<Record<string, unknown>>
  /** The input of a form that was flashed for the next request. */
  readonly old: Readonly<Record<string, unknown>>
  /** The CSRF token. */
  readonly token: string | undefined
  readonly previousUrl: string | undefined
  readonly expiresAt: Date | undefined
  /** @returns the value at a key or dotted path */
  readonly get: (path: string) => unknown
}

/** Who is visited, and what the browser brings. */
export interface Presented {
  readonly app: FastifyInstance
  readonly cookie: string
  readonly protocol: 'http' | 'https'
}

export async function readSession (presented: Presented): Promise<VisitorSession> {
  const { context, request } = await contextFor(presented)
  const { origin, state = emptyState() } = await findPresented(context, request)
  const isStored = origin.kind === 'stored'
  return {
    exists: isStored,
    key: isStored ? origin.key : undefined,
    expiresAt: isStored ? new Date(origin.record.expiresAt) : undefined,
    userId: state.userId,
    data: state.data,
    flash: Object.fromEntries(Object.keys(state.flashes).map(path => [path, valueAt(state.data, path)])),
    old: state.input?.value ?? {},
    token: state.token,
    previousUrl: state.previousUrl,
    get: path => valueAt(state.data, path)
  }
}

/**
 * Changes the stored session, or begins one.
 *
 * @returns the Set-Cookie headers that tell the browser of it
 */
export async function changeSession (presented: Presented, change: (session: Session) => void): Promise<readonly string[]> {
  const { context, request } = await contextFor(presented)
  const { settings, cookie, config } = context
  const found = await findPresented(context, request)
  const changes = new SessionChanges({ load: () => found, agesFlashData: false, extendsExpiry: false })
  const queue = new CommitQueue(changes, settings)
  const save = async (): Promise<void> => {
    if ((await queue.commit()).outcome === 'dropped') throw new SessionEndedError('the visitor\'s session has ended, so that nothing can be put into it')
  }
  change(new Session(changes, { config, save, reload: () => queue.reload(), inTurn: async step => await queue.run(step) }))
  await save()
  const sent: string[] = []
  const { stored, facts } = changes
  if (stored !== undefined) {
    const isPersistent = facts.isPersistent ?? !config.expireOnClose
    cookie.send(request, { setCookies: lines => { sent.push(...lines) } }, stored, isPersistent, false)
  }
  return sent
}

async function contextFor ({ app, cookie, protocol }: Presented): Promise<{ context: PluginContext, request: CookieRequest }> {
  await app.ready()
  if (!app.hasDecorator(PLUGIN)) throw new SessionConfigError(['the app has not registered ambient-session'], 'visitor(app)')
  const request = { headers: { cookie }, protocol }
  return { context: app[PLUGIN].forRequest({ canLeave: true }), request }
}
