/** Finds the session that the cookies of a request name. */
import { andThen } from '../session/maybe-promise.ts'
import { load, type LoadResult, NOTHING } from '../session/load.ts'
import type { SessionSettings } from '../session/settings.ts'
import type { MaybePromise } from '../stores/store.ts'
import type { CookieRequest, PresentedCookie } from './cookie.ts'
import type { PluginContext } from './plugin-context.ts'

/** What was found, and for which cookie. */
export interface FoundSession {
  readonly result: LoadResult
  readonly presented: PresentedCookie | undefined
}

export const NONE_FOUND: FoundSession = { result: NOTHING, presented: undefined }

/**
 * Looks for one session after the other.
 *
 * @param find looks for one; synchronously, where the store answers synchronously
 * @returns the first living session, or else the first that is known to be over
 */
export function findFirst (
  candidates: readonly PresentedCookie[], find: (presented: PresentedCookie) => MaybePromise<LoadResult>, index = 0, over = NONE_FOUND
): MaybePromise<FoundSession> {
  const presented = candidates[index]
  if (presented === undefined) return over
  return andThen(find(presented), result => {
    if (isLiving(result)) return { result, presented }
    return findFirst(candidates, find, index + 1, over === NONE_FOUND && result !== NOTHING ? { result, presented } : over)
  })
}

/**
 * Finds the session that a Cookie header names, where there is no request of Fastify's.
 *
 * @param context made for this header by {@link PluginContext.forRequest}
 */
export async function findPresented ({ cookie, settings }: PluginContext, request: CookieRequest): Promise<LoadResult> {
  const { result } = await findFirst(cookie.read(request), presented => findSession(settings, presented, Date.now()))
  return result
}

/** @param startedAt when what asks for it began, in milliseconds */
export function findSession (settings: SessionSettings, { id, key }: Pick<PresentedCookie, 'id' | 'key'>, startedAt: number): MaybePromise<LoadResult> {
  return andThen(settings.store.read(key), found => load(settings, id, key, found, startedAt))
}

export function isLiving ({ origin }: LoadResult): boolean {
  return origin.kind === 'stored'
}
