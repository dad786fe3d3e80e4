/** The Fastify plugin: the way of a request, from top to bottom. */
import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { resolveConfig } from './config/resolve.ts'
import type { SessionOptions } from './config/schema.ts'
import type { SessionHelper } from './context.ts'
import { runInScope, useSession } from './context.ts'
import { SessionConflictError, SessionContextError } from './errors.ts'
import { HeldAnswers } from './http/held-answers.ts'
import type { Host } from './http/host.ts'
import { createHost, hostPerRequest } from './http/host.ts'
import { RequestSession } from './http/request-session.ts'
import type { Done } from './http/response.ts'
import { answerAfter, keepInScope, proceedAfter } from './http/response.ts'
import type { RouteSessionOptions } from './http/route.ts'
import { RouteRulesReader } from './http/route.ts'
import type { Report } from './report.ts'
import { canPostpone } from './stores/postponing.ts'
import type { SessionStore } from './stores/store.ts'
import { reportToProcess } from './report.ts'
import type { Sessions } from './sessions.ts'
import { SessionsInStore } from './sessions.ts'
import type { SweptStore } from './sweeper.ts'
import { startSweeping } from './sweeper.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** The visitor's session: `req.session()`, `req.session(key, default?)`, `req.session({ … })`. */
    session: SessionHelper
    /** @internal */
    [REQUEST_SESSION]: RequestSession | null | undefined
  }
  interface FastifyInstance {
    /** All sessions of the application: those of a user, or all that there are. */
    sessions: Sessions
    /** @internal */
    [HOST]: Host
  }
  interface FastifyContextConfig {
    /** `false`: the route has no session. */
    session?: false | RouteSessionOptions
  }
}

const REQUEST_SESSION = Symbol('ambient-session.request')
/** Where an application that registered the plugin keeps what runWithSession() needs, in whichever copy of the package. */
export const HOST = Symbol.for('ambient-session.host')

const plugin: FastifyPluginAsync<SessionOptions> = async (app, options) => {
  assertNobodyElse(app)
  const host = createHost(await resolveConfig(options), reportTo(app))
  const { keeper: { store, report }, config } = host
  const hostOf = hostPerRequest(host)
  const rules = new RouteRulesReader(config.block)
  const postponing = canPostpone(store) ? store : undefined
  const answers = new HeldAnswers(app.server, () => { postponing?.flush() })
  await store.open?.()

  app.decorate(HOST, host)
  app.decorate('sessions', new SessionsInStore(store, host.keeper.grace))
  app.decorateRequest('session', function (this: FastifyRequest, ...args: unknown[]) {
    return useSession(requestSessionOf(this).session, args)
  } as SessionHelper)

  app.addHook('onRoute', ({ config }) => { rules.of(config) })

  app.addHook('onRequest', (request, reply, done) => {
    const current = new RequestSession(hostOf(reply), rules.of(request.routeOptions.config), request, reply)
    request[REQUEST_SESSION] = current
    const preparation = current.prepare()
    if (preparation === undefined) return runInScope(current, done)
    proceedAfter(preparation, current, reply, done)
  })

  app.addHook('onSend', (request: FastifyRequest, reply: FastifyReply, payload: unknown, done: Done) => {
    const current = request[REQUEST_SESSION]
    if (current == null) return done()
    // What is held back first may be written later. Where it may have to be waited for, it is held when it has been stored.
    const isHeld = postponing !== undefined && current.hasSession && answers.hold(reply.raw)
    const committed = isHeld ? postponing.postpone(current) : current.commit()
    if (committed !== undefined) return answerAfter(committed, current, reply, payload, done)
    if (postponing === undefined && current.hasSession) answers.hold(reply.raw)
    keepInScope(current, reply, done)
  })

  const stopSweeping = config.sweep !== false && isSwept(store) ? startSweeping(store, config.sweep * 1000, report) : undefined
  app.addHook('onClose', async () => {
    await stopSweeping?.()
    await store.close?.()
  })
}

function isSwept (store: SessionStore): store is SweptStore {
  return store.sweep !== undefined
}

function requestSessionOf (request: FastifyRequest): RequestSession {
  const current = request[REQUEST_SESSION]
  // Not even null where the request's shape is that of a plugin loaded before this one.
  if (current != null) return current
  throw new SessionContextError('this request has no session yet: it begins in the onRequest hook of ambient-session. ' +
    'Register ambient-session before the plugin or hook that uses req.session()')
}

function assertNobodyElse (app: FastifyInstance): void {
  if (app.hasDecorator(HOST)) throw new SessionConflictError('ambient-session is registered twice; register it once, on the root application')
  if (app.hasDecorator('sessions')) throw new SessionConflictError('the application has been decorated with `sessions` already, where ambient-session puts its own')
  if (!app.hasRequestDecorator('session')) return
  throw new SessionConflictError('another plugin has already decorated the request with `session` (@fastify/session or ' +
    '@fastify/secure-session, most likely); an application can have one of them only: take the other one out')
}

/** Warnings go to the application's log, or to the process where the application does not log. */
function reportTo ({ log }: FastifyInstance): Report {
  const logs = typeof (log as { level?: unknown }).level === 'string'
  if (!logs) return reportToProcess
  return ({ message, cause, ...details }) => { log.warn(cause === undefined ? details : { ...details, err: cause }, message) }
}

export const ambientSession = fp(plugin, { fastify: '5.x', name: 'ambient-session' })
