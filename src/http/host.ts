import type { FastifyReply } from 'fastify'
import type { SessionConfig } from '../config/schema.ts'
import type { Report } from '../report.ts'
import type { Keeper } from '../session/keeper.ts'
import { KnownSessions } from '../session/known.ts'
import { plainPayload, sealedPayload } from '../session/payload.ts'
import { createStore } from '../stores/create.ts'
import { KeyedLock } from '../stores/keyed-lock.ts'
import type { LockOptions, StoreKey, Unlock } from '../stores/store.ts'
import { CarryingCookie } from './carrying-cookie.ts'
import type { RequestCookie } from './cookie.ts'
import { SessionCookie } from './cookie.ts'
import { SealedCookie } from './sealed-cookie.ts'

/** What all requests of a plugin share. */
export interface Host {
  readonly config: SessionConfig
  readonly keeper: Keeper
  readonly cookie: RequestCookie
  /** Takes a session's exclusive lock, as {@link SessionStore.lock} does. */
  readonly lock: (key: StoreKey, options: LockOptions) => Promise<Unlock>
}

/** What a request has of it: the same for all, but where each brings its whole session along. */
export type HostOf = (reply: FastifyReply) => Host

export function hostPerRequest (host: Host): HostOf {
  if (host.config.driver !== 'cookie') return () => host
  const sealed = new SealedCookie(host.config)
  return reply => {
    const cookie = new CarryingCookie(sealed, reply, host.keeper.known)
    // What is sealed as a whole need not be encrypted once more.
    return { ...host, cookie, keeper: { ...host.keeper, store: cookie.store, format: plainPayload } }
  }
}

const MINUTE = 60_000

export function createHost (config: SessionConfig, report: Report): Host {
  const store = createStore(config, report)
  const { lifetime, absoluteLifetime, grace, maxBytes, encrypt, secret } = config
  // A store that cannot lock still gets routes that are serial within this process.
  const locks = new KeyedLock()
  const known = new KnownSessions()
  return {
    config,
    cookie: new SessionCookie(config, known),
    lock: (key, options) => store.lock?.(key, options) ?? locks.acquire(key, options),
    keeper: {
      store,
      report,
      maxBytes,
      known,
      format: encrypt ? sealedPayload(secret) : plainPayload,
      lifetime: { idle: lifetime * MINUTE, absolute: absoluteLifetime === undefined ? undefined : absoluteLifetime * MINUTE },
      grace: grace * 1000
    }
  }
}
