/** The Fastify plugin: the way of a request, from top to bottom. */
import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { resolveConfigWithSource } from './config/resolve.ts'
import type { RouteSessionOptions } from './config/route.ts'
import type { SessionOptions } from './config/options.ts'
import { runInScope } from './context.ts'
import { SessionConflictError, SessionContextError } from './errors.ts'
import { checkForgery } from './http/csrf.ts'
import { flashValidationOf } from './http/flash-validation.ts'
import { commitAndSend, type Done, goOn, goOnAfter, HooksScope, type SendDone } from './http/flow.ts'
import { keepLast, withLast } from './http/last-hooks.ts'
import { createContext, type PluginContext } from './http/plugin-context.ts'
import { addRedirects } from './http/redirect.ts'
import { createFacade, type RequestFacade } from './http/request-facade.ts'
import { RequestSession } from './http/request-session.ts'
import { RouteRulesReader } from './http/route.ts'
import { storeFaults } from './http/store-faults.ts'
import { addViewLocals } from './http/view-locals.ts'
import { reportTo } from './report.ts'
import { type Sessions, SessionsInStore } from './sessions.ts'
import { startLine } from './start-line.ts'
import { openStore } from './stores/create.ts'
import { can } from './stores/store.ts'
import { startSweeping } from './sweeper.ts'
import { CURRENT, PLUGIN } from './symbols.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /**
     * The visitor's session: `req.session()`, `req.session(key, default?)`, `req.session({ … })`, `req.session.user = …`, and the
     * names that users of @fastify/session, @fastify/secure-session and express-session write.
     */
    session: RequestFacade
    /** @internal */
    [CURRENT]: RequestSession | null | undefined
    /** @internal */
    [FACADE]: RequestFacade | null | undefined
  }
  interface FastifyInstance {
    /** All sessions of the application: those of a user, or all that there are. */
    sessions: Sessions
    /** @internal */
    [PLUGIN]: PluginContext
  }
  interface FastifyContextConfig {
    /** `false`: the route has no session. */
    session?: false | RouteSessionOptions
    /** @internal */
    [COMMITS_LAST]?: true
  }
}

const FACADE = Symbol('ambient-session.facade')
/** Says of a route that its last onSend hook commits. */
const COMMITS_LAST = Symbol('ambient-session.commits-last')

const plugin: FastifyPluginAsync<SessionOptions> = async (app, options) => {
  assertOnlyOne(app)
  const resolved = await resolveConfigWithSource(options)
  const context = createContext(resolved.config, reportTo(app.log))
  const { settings: { store, report, grace }, config } = context
  const rules = new RouteRulesReader(config)
  await openStore(store)
  app.log.info(startLine(config, resolved.source))

  app.decorate(PLUGIN, context)
  app.decorate('sessions', new SessionsInStore(store, grace, context.ends))
  app.decorateRequest(CURRENT, null)
  app.decorateRequest(FACADE, null)
  app.decorateRequest('session', {
    getter (this: FastifyRequest) {
      this[FACADE] ??= createFacade(currentOf(this))
      return this[FACADE]
    },
    setter (this: FastifyRequest) {
      throw new TypeError('req.session cannot be replaced. To end the session call req.session().invalidate(), to replace its data req.session().replace({ … })')
    }
  })

  addRedirects(app)

  app.addHook('onRoute', route => {
    if (rules.check(route).flashValidation) flashValidationOf(route)
  })
  keepLast(app, COMMITS_LAST, route => {
    route.onSend = withLast(route.onSend, commitLast)
    route.onResponse = withLast(route.onResponse, closeHooksScope)
  })

  app.addHook('onRequest', (request, reply, done) => {
    const { config } = request.routeOptions
    const current = new RequestSession(context, rules.for(request, config), request, reply)
    current.commitsLast = config[COMMITS_LAST] === true
    request[CURRENT] = current
    const preparation = current.beforeHandler()
    if (preparation === undefined) runInScope(current, done)
    else goOnAfter(preparation, current, done)
  })
  addViewLocals(app)

  if (config.csrf !== false) checkForgery(app, config.csrf)

  // Commits where commitLast is not among the route's hooks: where no route matches, and on routes declared before the plugin. A reply that
  // is sent in the flow of another request comes back to its own.
  app.addHook('onSend', (request: FastifyRequest, reply: FastifyReply, payload: unknown, done: SendDone) => {
    const current = request[CURRENT]
    if (current == null || current.commitsLast) goOn(current, () => { done(null) })
    else commitAndSend(current, reply, payload, done)
  })

  const reportStoreFault = storeFaults(report)
  // Fastify calls these in the flow of its timers and sockets. There is none for onTimeout: with such a hook Fastify listens to the
  // socket of every request, and those of injectWS() have none.
  app.addHook('onError', (request, _reply, error, done) => {
    const current = request[CURRENT]
    current?.markFailed(error)
    reportStoreFault(error)
    goOn(current, done)
  })
  app.addHook('onRequestAbort', (request, done) => { goOn(request[CURRENT], done) })
  app.addHook('onResponse', (request, _reply, done) => {
    const current = request[CURRENT]
    if (current == null) return done()
    current.commitLate()
    current.hooksScope = new HooksScope(current)
    runInScope(current.hooksScope, done)
  })

  const stopSweeping = config.sweep !== false && can(store, 'sweep') ? startSweeping(store, config.sweep * 1000, report) : undefined
  app.addHook('onClose', async () => {
    context.ends.close()
    await stopSweeping?.()
    await context.adoption?.close()
    await store.close?.()
  })
}

/** The last hooks of a route. */
function commitLast (request: FastifyRequest, reply: FastifyReply, payload: unknown, done: SendDone): void {
  const current = request[CURRENT]
  if (current == null) done(null)
  else commitAndSend(current, reply, payload, done)
}

function closeHooksScope (request: FastifyRequest, _reply: FastifyReply, done: Done): void {
  request[CURRENT]?.hooksScope?.close()
  done()
}

function currentOf (request: FastifyRequest): RequestSession {
  const current = request[CURRENT]
  // Undefined where the request's shape is that of a plugin loaded before this one.
  if (current != null) return current
  throw new SessionContextError('this request has no session yet: it begins in the onRequest hook of ambient-session. ' +
    'Register ambient-session before the plugin or hook that uses req.session')
}

function assertOnlyOne (app: FastifyInstance): void {
  if (app.hasDecorator(PLUGIN)) throw new SessionConflictError('ambient-session is registered twice; register it once, on the root application')
  if (app.hasDecorator('sessions')) throw new SessionConflictError('the application has been decorated with `sessions` already, where ambient-session puts its own')
  if (!app.hasRequestDecorator('session')) return
  throw new SessionConflictError('another plugin has already decorated the request with `session` (@fastify/session or ' +
    '@fastify/secure-session, most likely); an application can have one of them only: take the other one out')
}

export const ambientSession = fp(plugin, { fastify: '5.x', name: 'ambient-session' })
