/** The Fastify plugin: the way of a request, from top to bottom. */
import type { ServerResponse } from 'node:http'
import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { resolveConfig } from './config/resolve.ts'
import type { SessionOptions } from './config/schema.ts'
import type { SessionHelper } from './context.ts'
import { isInScope, runInScope, useSession } from './context.ts'
import { SessionConflictError, SessionContextError } from './errors.ts'
import type { Host } from './http/host.ts'
import { createHost, hostPerRequest } from './http/host.ts'
import { RequestSession } from './http/request-session.ts'
import type { RouteSessionOptions } from './http/route.ts'
import { RouteRulesReader } from './http/route.ts'
import type { Report } from './report.ts'
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
  await store.open?.()

  app.decorate(HOST, host)
  app.decorate('sessions', new SessionsInStore(store, host.keeper.grace))
  app.decorateRequest(REQUEST_SESSION, null)
  app.decorateRequest('session', function (this: FastifyRequest, ...args: unknown[]) {
    return useSession(requestSessionOf(this).session, args)
  } as SessionHelper)

  app.addHook('onRoute', ({ config }) => { rules.of(config) })

  app.addHook('onRequest', (request, reply, done) => {
    const current = new RequestSession(hostOf(reply), rules.of(request.routeOptions.config), request, reply)
    request[REQUEST_SESSION] = current
    const preparation = current.prepare()
    if (preparation === undefined) return runInScope(current, done)
    preparation.then(() => { proceed(current, reply, done) }, (error: Error) => { runInScope(current, () => { done(error) }) })
  })

  app.addHook('onSend', (request: FastifyRequest, reply: FastifyReply, _payload: unknown, done: (error?: Error) => void) => {
    const current = request[REQUEST_SESSION]
    if (current == null) return done()
    const commitment = current.finish()
    if (commitment === undefined) return keepInScope(current, reply, done)
    const answer = (error?: Error): void => {
      if (error === undefined) current.tellBrowser()
      done(error)
    }
    commitment.then(() => { proceed(current, reply, answer) }, (error: Error) => {
      current.noteFailure()
      done(error)
    })
  })

  const stopSweeping = config.sweep !== false && isSwept(store) ? startSweeping(store, config.sweep * 1000, report) : undefined
  app.addHook('onClose', async () => {
    await stopSweeping?.()
    await store.close?.()
  })
}

/**
 * Goes on with a request after something asynchronous. What goes on may throw: a response that cannot be sent, for example.
 * That is for Fastify to answer, which cannot see it from within a promise of ours.
 */
function proceed (scope: RequestSession, reply: FastifyReply, done: (error?: Error) => void): void {
  keepInScope(scope, reply, () => {
    try {
      done()
    } catch (error) {
      done(error as Error)
    }
  })
}

/**
 * Goes on in the request's flow, in which the hooks that follow find its session. Usually this is that flow. A reply that
 * was sent from a callback of another flow comes back to its own here; and a response that is held back behind another one
 * of its connection would end in the flow of that other request, so its events are brought back, too.
 */
function keepInScope (scope: RequestSession, { raw }: FastifyReply, next: () => void): void {
  const isHere = isInScope(scope)
  if (!isHere || raw.socket === null) emitInScope(scope, raw)
  if (isHere) next()
  else runInScope(scope, next)
}

function emitInScope (scope: RequestSession, response: ServerResponse): void {
  const emit = response.emit.bind(response) as (...args: unknown[]) => boolean
  const emitHere = (...args: unknown[]): boolean => runInScope(scope, () => emit(...args))
  response.emit = emitHere
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
