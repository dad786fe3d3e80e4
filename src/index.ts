/**
 * Laravel-style sessions for Fastify 5.
 *
 * ```ts
 * import Fastify from 'fastify'
 * import ambientSession, { session } from 'ambient-session'
 *
 * const app = Fastify()
 * await app.register(ambientSession)
 * app.get('/', () => `visit number ${session().increment('visits')}`)
 * await app.listen({ port: 3000 })
 * ```
 */
export { ambientSession, ambientSession as default } from './plugin.ts'
export { hasSession, request, session } from './context.ts'
export type { SessionHelper } from './context.ts'
export { defineConfig } from './config/define.ts'
export type { AdoptOptions } from './config/options.ts'
export type { SessionConfig, SessionOptions } from './config/schema.ts'
export { csrfField, csrfToken } from './http/csrf-token.ts'
export { runWithSession } from './run-with-session.ts'
export type { PresentedSession, StoredSession } from './run-with-session.ts'
export { requireUser } from './http/require-user.ts'
export { onSessionEnd } from './on-session-end.ts'
export type { SessionEndOptions } from './on-session-end.ts'
export { openSessions } from './sessions.ts'
export type { ListedSession, OpenSessions, SessionPage, SessionPageOptions, Sessions } from './sessions.ts'
export { Session } from './session/session.ts'
export type { Default, SessionKeys } from './session/session.ts'
export type {
  CounterKey, DeclaredDefault, ElementAt, FlashedAt, SessionData, SessionKey, SessionValues, ValueAt, ValueOr
} from './session/keys.ts'
export type { SessionId } from './session/id.ts'
export type { FormErrorsInput, FormIssue } from './http/form-errors.ts'
export type { InputSelection } from './http/redirect.ts'
export type { ErrorBag } from './http/error-bag.ts'
export type { LazyText, ViewLocals } from './http/view-locals.ts'
export type { RouteSessionOptions } from './config/route.ts'
export { DatabaseStore } from './stores/database/store.ts'
export type { DatabaseStoreOptions } from './stores/database/store.ts'
export { FileStore } from './stores/file/store.ts'
export type { FileStoreOptions } from './stores/file/store.ts'
export { MemoryStore } from './stores/memory.ts'
export { fromConnectStore } from './stores/connect.ts'
export type { ConnectSession, ConnectStore, ConnectStoreOptions } from './stores/connect.ts'
export { RedisStore } from './stores/redis/store.ts'
export type { RedisStoreOptions } from './stores/redis/store.ts'
export type { RedisClient } from './stores/redis/client.ts'
export type {
  EndReason, ListedRecord, ListFilter, LockOptions, MaybePromise, NewRecord, Page, RecordPage, SessionStore, StoredRecord, StoreKey, Tombstone,
  Unlock, Version
} from './stores/store.ts'
export { isRecord } from './stores/store.ts'
export type { Report, SessionWarning } from './report.ts'
export * from './errors.ts'
