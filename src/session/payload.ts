/**
 * What a store keeps: the state's text as it is, or sealed with AES-256-GCM (NIST SP 800-38D). The session's key is bound
 * in as associated data, so that a payload moved under another key does not open. Encryption keys are derived from the
 * application's secrets with HKDF (RFC 5869): the first secret seals, any of them opens.
 */
import { createCipheriv, createDecipheriv, createSecretKey, hkdfSync, type KeyObject } from 'node:crypto'
import type { StoreKey } from './id.ts'
import { randomBytes } from './random.ts'

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
  const sealer = new Sealer(secrets)
  return {
    seal: (text, key) => PREFIX + sealer.seal(text, key).toString('base64'),
    open: (payload, key) => payload.startsWith(PREFIX) ? sealer.open(Buffer.from(payload.slice(PREFIX.length), 'base64'), key) : undefined
  }
}

/** Encrypts texts, each for one purpose: for another one it does not open. */
export class Sealer {
  /** As objects of Node's: a cipher with one of these is made in 1 µs, with a Buffer on Node.js 24 in 9. */
  readonly #keys: readonly KeyObject[]
  readonly #sealingKey: KeyObject

  /** @param secrets at least one */
  constructor (secrets: readonly string[]) {
    this.#keys = secrets.map(secret => createSecretKey(Buffer.from(hkdfSync('sha256', secret, '', 'ambient-session payload', KEY_BYTES))))
    const [sealingKey] = this.#keys
    if (sealingKey === undefined) throw new RangeError('sealing needs a secret')
    this.#sealingKey = sealingKey
  }

  seal (text: string, purpose: string): Buffer {
    const iv = randomBytes(IV_BYTES)
    const cipher = createCipheriv(ALGORITHM, this.#sealingKey, iv).setAAD(Buffer.from(purpose))
    return Buffer.concat([iv, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()])
  }

  /** @returns how many characters a sealed text takes in base64url */
  static lengthOf (text: string): number {
    return Math.ceil((Buffer.byteLength(text) + IV_BYTES + TAG_BYTES) * 4 / 3)
  }

  /** @returns the text, or `undefined` when what was sealed is damaged, of another secret or for another purpose */
  open (sealed: Buffer, purpose: string): string | undefined {
    if (sealed.length < IV_BYTES + TAG_BYTES) return undefined
    for (const key of this.#keys) {
      const text = unseal(sealed, key, purpose)
      if (text !== undefined) return text
    }
    return undefined
  }
}

function unseal (sealed: Buffer, key: KeyObject, purpose: string): string | undefined {
  const decipher = createDecipheriv(ALGORITHM, key, sealed.subarray(0, IV_BYTES), { authTagLength: TAG_BYTES })
    .setAAD(Buffer.from(purpose))
    .setAuthTag(sealed.subarray(-TAG_BYTES))
  try {
    const text = decipher.update(sealed.subarray(IV_BYTES, -TAG_BYTES))
    // Checks the tag, and gives nothing.
    decipher.final()
    return text.toString()
  } catch {
    // final() throws when the tag does not fit: another key, another purpose, or damage. Which one cannot be known.
    return undefined
  }
}
