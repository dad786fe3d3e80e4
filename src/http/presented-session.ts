/** Finds sessions outside of requests: by a Cookie header, or by an id. */
import { keyOf, type SessionId, type StoreKey } from '../session/id.ts'
import { load, type LoadResult, NOTHING } from '../session/load.ts'
import type { SessionSettings } from '../session/settings.ts'
import type { CookieRequest } from './cookie.ts'
import type { PluginContext } from './plugin-context.ts'

/**
 * Finds the session that a Cookie header names, where there is no request of Fastify's.
 *
 * @param context made for this header by {@link PluginContext.forRequest}
 * @returns the first living session, or else the first that is known to be over
 */
export async function findPresented ({ cookie, settings }: PluginContext, request: CookieRequest): Promise<LoadResult> {
  let over = NOTHING
  for (const { id, key } of cookie.read(request)) {
    const found = await find(settings, id, key)
    if (found.origin.kind === 'stored') return found
    if (over === NOTHING) over = found
  }
  return over
}

/** @returns the session with this id as it is stored now */
export async function findById (settings: SessionSettings, id: SessionId): Promise<LoadResult> {
  return await find(settings, id, keyOf(id))
}

async function find (settings: SessionSettings, id: SessionId, key: StoreKey): Promise<LoadResult> {
  return load(settings, id, key, await settings.store.read(key), Date.now())
}
