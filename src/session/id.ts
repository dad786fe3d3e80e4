import { hash } from 'node:crypto'
import { randomText } from './random.ts'

/** The secret in the cookie: 256 random bits, base64url. Never stored, never logged. */
export type SessionId = string & { readonly brand: 'SessionId' }

/** What everybody but the browser knows a session by: SHA-256 of its id, in hex. */
export type StoreKey = string & { readonly brand: 'StoreKey' }

const ID_BYTES = 32
/** 256 bits in base64url: 42 full characters and one that carries the last 4 bits, so only every fourth can end an id. */
const ID_FORM = /^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/

export function newSessionId (): SessionId {
  return randomText(ID_BYTES) as SessionId
}

/** Whether a text has the form of an id. Says nothing about whether the server ever gave it out. */
export function isSessionId (text: string): text is SessionId {
  return ID_FORM.test(text)
}

const KEY_FORM = /^[0-9a-f]{64}$/

/** Whether a text has the form of a key: it may come from a form, and a store may use it as the name of a file. */
export function isStoreKey (text: unknown): text is StoreKey {
  return typeof text === 'string' && KEY_FORM.test(text)
}

export function keyOf (id: SessionId): StoreKey {
  return hash('sha256', id, 'hex') as StoreKey
}
