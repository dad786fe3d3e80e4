import type { SessionId, StoreKey } from '../session/id.ts'
import { keyOf } from '../session/id.ts'
import type { LoadResult, SessionManager } from '../session/manager.ts'
import { load, NOTHING } from '../session/manager.ts'
import type { CookieRequest } from './cookie.ts'
import type { PluginContext } from './plugin-context.ts'

/**
 * Finds the session that a Cookie header names, where there is no request of Fastify's.
 *
 * @param context made for this header by {@link PluginContext.forRequest}
 * @returns the first living session, or else the last that is known to be over
 */
export async function findPresented ({ cookie, manager }: PluginContext, request: CookieRequest): Promise<LoadResult> {
  let over = NOTHING
  for (const { id, key } of cookie.read(request)) {
    const found = await find(manager, id, key)
    if (found.origin.kind === 'stored') return found
    if (found !== NOTHING) over = found
  }
  return over
}

/** @returns the session with this id as it is stored now */
export async function findById (manager: SessionManager, id: SessionId): Promise<LoadResult> {
  return await find(manager, id, keyOf(id))
}

async function find (manager: SessionManager, id: SessionId, key: StoreKey): Promise<LoadResult> {
  return load(manager, id, key, await manager.store.read(key), Date.now())
}
