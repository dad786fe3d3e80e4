import { keyOf } from '../session/id.ts'
import type { LoadResult } from '../session/manager.ts'
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
  let found = NOTHING
  for (const { id } of cookie.read(request)) {
    const key = keyOf(id)
    const next = load(manager, id, key, await manager.store.read(key), Date.now())
    if (found.origin.kind !== 'stored' && next !== NOTHING) found = next
  }
  return found
}
