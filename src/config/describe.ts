/** How a fault names the value that was given. What is inside of objects stays there: it may be confidential. */
import { types } from 'node:util'

const LONGEST = 60

export function show (value: unknown): string {
  if (typeof value !== 'string') return isPlain(value) ? String(value) : kindOf(value)
  // A URL in the wrong place may still have a password in it.
  if (value.includes('://')) return 'a URL'
  return JSON.stringify(value.length > LONGEST ? `${value.slice(0, LONGEST)}…` : value)
}

/** For options whose value must not reach a log, not even in part. */
export function conceal (value: unknown): string {
  if (types.isUint8Array(value)) return `${value.byteLength} ${value.byteLength === 1 ? 'byte' : 'bytes'}`
  return typeof value === 'string' ? `a text of ${value.length} ${value.length === 1 ? 'character' : 'characters'}` : kindOf(value)
}

function kindOf (value: unknown): string {
  if (Array.isArray(value)) return 'a list'
  return typeof value === 'object' && value !== null ? 'an object' : `a ${typeof value}`
}

function isPlain (value: unknown): boolean {
  return value === null || ['undefined', 'number', 'boolean', 'bigint'].includes(typeof value)
}
