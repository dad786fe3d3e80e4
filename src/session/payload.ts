/**
 * What a store keeps: the state's text as it is, or sealed with AES-256-GCM (NIST SP 800-38D). The session's key is bound
 * in as associated data, so that a payload moved under another key does not open. Encryption keys are derived from the
 * application's secrets with HKDF (RFC 5869): the first secret seals, any of them opens.
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'
import type { StoreKey } from './id.ts'

export interface PayloadFormat {
  seal (text: string, key: StoreKey): string
  /** @returns the text, or `undefined` when the payload is damaged, of another secret or of another session */
  open (payload: string, key: StoreKey): string | undefined
}

export const plainPayload: PayloadFormat = {
  seal: text => text,
  open: payload => payload
}

const ALGORITHM = 'aes-256-gcm'
const PREFIX = `${ALGORITHM}:`
const KEY_BYTES = 32
const IV_BYTES = 12
const TAG_BYTES = 16

/** @param secrets at least one */
export function sealedPayload (secrets: readonly string[]): PayloadFormat {
  const keys = secrets.map(secret => Buffer.from(hkdfSync('sha256', secret, '', 'ambient-session payload', KEY_BYTES)))
  const [sealingKey] = keys
  if (sealingKey === undefined) throw new RangeError('sealing needs a secret')
  return {
    seal (text, key) {
      const iv = randomBytes(IV_BYTES)
      const cipher = createCipheriv(ALGORITHM, sealingKey, iv).setAAD(Buffer.from(key))
      const sealed = Buffer.concat([iv, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()])
      return PREFIX + sealed.toString('base64')
    },
    open (payload, key) {
      if (!payload.startsWith(PREFIX)) return undefined
      const sealed = Buffer.from(payload.slice(PREFIX.length), 'base64')
      if (sealed.length < IV_BYTES + TAG_BYTES) return undefined
      for (const openingKey of keys) {
        const text = unseal(sealed, openingKey, key)
        if (text !== undefined) return text
      }
      return undefined
    }
  }
}

function unseal (sealed: Buffer, openingKey: Buffer, key: StoreKey): string | undefined {
  const decipher = createDecipheriv(ALGORITHM, openingKey, sealed.subarray(0, IV_BYTES), { authTagLength: TAG_BYTES })
    .setAAD(Buffer.from(key))
    .setAuthTag(sealed.subarray(-TAG_BYTES))
  try {
    return decipher.update(sealed.subarray(IV_BYTES, -TAG_BYTES), undefined, 'utf8') + decipher.final('utf8')
  } catch {
    // final() throws when the tag does not fit: another key, another session, or damage. Which one cannot be known.
    return undefined
  }
}
