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
export { hasSession, request, session, type SessionHelper } from './context.ts'
export { defineConfig } from './config/define.ts'
export type { AdoptOptions, SessionConfig, SessionOptions } from './config/options.ts'
export { csrfField, csrfToken } from './http/csrf-token.ts'
export { type PresentedSession, runWithSession, type StoredSession } from './run-with-session.ts'
export { requireUser } from './http/require-user.ts'
export { onSessionEnd, type SessionEndOptions } from './on-session-end.ts'
export { type ListedSession, openSessions, type OpenSessions, type SessionPage, type SessionPageOptions, type Sessions } from './sessions.ts'
export { type Default, Session, type SessionKeys } from './session/session.ts'
export type {
  CounterKey, DeclaredDefault, ElementAt, FlashedAt, ListKey, Remembered, SessionData, SessionKey, SessionValues, ValueAt, ValueOr
} from './session/keys.ts'
export type { SessionId } from './session/id.ts'
export type { FormErrorsInput, FormIssue } from './http/form-errors.ts'
export type { InputSelection } from './http/redirect.ts'
export type { ErrorBag } from './http/error-bag.ts'
export type { LazyText, ViewLocals } from './http/view-locals.ts'
export type { RouteSessionOptions } from './config/route.ts'
export { DatabaseStore, type DatabaseStoreOptions } from './stores/database/store.ts'
export { FileStore, type FileStoreOptions } from './stores/file/store.ts'
export { MemoryStore } from './stores/memory.ts'
export { type ConnectSession, type ConnectStore, type ConnectStoreOptions, fromConnectStore } from './stores/connect.ts'
export { RedisStore, type RedisStoreOptions } from './stores/redis/store.ts'
export type { RedisClient } from './stores/redis/client.ts'
export {
  type EndReason, isRecord, type ListedRecord, type ListFilter, type LockOptions, type MaybePromise, type NewRecord, type Page, type RecordPage,
  type SessionStore, type StoredRecord, type StoreKey, type Tombstone, type Unlock, type Version
} from './stores/store.ts'
export type { Report, SessionWarning } from './report.ts'
export * from './errors.ts'
