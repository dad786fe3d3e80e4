import type { SessionConfig } from '../config/schema.ts'
import type { Report } from '../report.ts'
import type { Keeper } from '../session/keeper.ts'
import { KnownSessions } from '../session/known.ts'
import { plainPayload, sealedPayload } from '../session/payload.ts'
import { createStore } from '../stores/create.ts'
import { KeyedLock } from '../stores/keyed-lock.ts'
import type { LockOptions, StoreKey, Unlock } from '../stores/store.ts'
import { SessionCookie } from './cookie.ts'

/** What all requests of a plugin share. */
export interface Host {
  readonly config: SessionConfig
  readonly keeper: Keeper
  readonly cookie: SessionCookie
  /** Takes a session's exclusive lock, as {@link SessionStore.lock} does. */
  readonly lock: (key: StoreKey, options: LockOptions) => Promise<Unlock>
}

const MINUTE = 60_000

export function createHost (config: SessionConfig, report: Report): Host {
  const store = createStore(config, report)
  const { lifetime, absoluteLifetime, grace, maxBytes, encrypt, secret } = config
  // A store that cannot lock still gets routes that are serial within this process.
  const locks = new KeyedLock()
  return {
    config,
    cookie: new SessionCookie(config),
    lock: (key, options) => store.lock?.(key, options) ?? locks.acquire(key, options),
    keeper: {
      store,
      report,
      maxBytes,
      known: new KnownSessions(),
      format: encrypt ? sealedPayload(secret) : plainPayload,
      lifetime: { idle: lifetime * MINUTE, absolute: absoluteLifetime === undefined ? undefined : absoluteLifetime * MINUTE },
      grace: grace * 1000
    }
  }
}
