/**
 * Hooks that run behind all others of a route, those of other plugins included. Fastify lets no plugin be last on routes that were
 * declared before it was loaded, nor on 404s: what has to run there as well needs a hook of the application besides.
 */
import type { FastifyInstance, RouteOptions } from 'fastify'

/**
 * @param mark set in the config of each route that has the hooks: routes declared before the plugin was loaded have not
 * @param put puts the hooks last; called more than once
 */
export function keepLast (app: FastifyInstance, mark: symbol, put: (route: RouteOptions) => void): void {
  app.addHook('onRoute', route => {
    route.config = { ...route.config, [mark]: true }
    put(route)
    // Once more behind what onRoute hooks of other plugins add to the route, or put in its place. Fastify reads the lists when the
    // application is ready.
    process.nextTick(put, route)
  })
}

/** @returns the hooks, with this one last and there once */
export function withLast<Hook> (hooks: Hook | Hook[] | undefined, last: NoInfer<Hook>): Hook[] {
  const others = hooks === undefined ? [] : Array.isArray(hooks) ? hooks : [hooks]
  return [...others.filter(hook => hook !== last), last]
}
