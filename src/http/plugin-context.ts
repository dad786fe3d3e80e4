/** What all requests share: made from the options, once, when the plugin is registered. */
import type { SessionConfig } from '../config/options.ts'
import type { Report } from '../report.ts'
import { plainPayload, sealedPayload } from '../session/payload.ts'
import type { SessionSettings } from '../session/settings.ts'
import { createStore } from '../stores/create.ts'
import { KeyedLock } from '../stores/keyed-lock.ts'
import type { LockOptions, StoreKey, Unlock } from '../stores/store.ts'
import { Adoption } from './adoption.ts'
import type { LeavingHeaders } from './carried-store.ts'
import { CarryingCookie } from './carrying-cookie.ts'
import { type RequestCookie, SessionCookie } from './cookie.ts'
import { CookieWarnings } from './cookie-warnings.ts'
import { CsrfCookie } from './csrf-cookie.ts'
import { SealedCookie } from './sealed-cookie.ts'
import { SessionEnds } from './session-ends.ts'

export interface PluginContext {
  readonly config: SessionConfig
  readonly settings: SessionSettings
  readonly cookie: RequestCookie
  /** The cookie with the CSRF token, where the options ask for one. */
  readonly csrfCookie: CsrfCookie | undefined
  /** Sessions of another package, where the options name one. */
  readonly adoption: Adoption | undefined
  readonly cookieWarnings: CookieWarnings
  /** Who is to be told when which session ends. */
  readonly ends: SessionEnds
  /** Takes a session's exclusive lock, as {@link SessionStore.lock} does. */
  readonly lock: (key: StoreKey, options: LockOptions) => Promise<Unlock>
  /** What a request has of it: the same, but where each brings its whole session along. */
  readonly forRequest: (headers: LeavingHeaders) => PluginContext
}

const MINUTE = 60_000

export function createContext (config: SessionConfig, report: Report): PluginContext {
  const store = createStore(config, report)
  const { driver, lifetime, absoluteLifetime, grace, maxBytes, encrypt, secret, csrf } = config
  // A store that cannot lock still gets routes that are serial within this process.
  const locks = new KeyedLock()
  const sealed = driver === 'cookie' ? new SealedCookie(config) : undefined
  const settings: SessionSettings = {
    store,
    report,
    maxBytes,
    format: encrypt ? sealedPayload(secret) : plainPayload,
    lifetime: { idle: lifetime * MINUTE, absolute: absoluteLifetime === undefined ? undefined : absoluteLifetime * MINUTE },
    grace: grace * 1000
  }
  const context: PluginContext = {
    config,
    settings,
    // What only the browser keeps cannot be looked at.
    ends: new SessionEnds(sealed === undefined ? settings : undefined),
    cookie: new SessionCookie(config),
    csrfCookie: csrf === false || csrf.cookie === false ? undefined : new CsrfCookie(csrf.cookie, config),
    adoption: config.adopt.length === 0 ? undefined : new Adoption(config, report),
    cookieWarnings: new CookieWarnings(config, report),
    lock: (key, options) => store.lock?.(key, options) ?? locks.acquire(key, options),
    forRequest: headers => sealed === undefined ? context : carrying(context, sealed, headers)
  }
  return context
}

function carrying (context: PluginContext, sealed: SealedCookie, headers: LeavingHeaders): PluginContext {
  const cookie = new CarryingCookie(sealed, headers)
  // What is sealed as a whole need not be encrypted once more.
  return { ...context, cookie, settings: { ...context.settings, store: cookie.store, format: plainPayload } }
}
