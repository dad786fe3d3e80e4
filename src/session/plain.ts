/**
 * Whether objects with this prototype are plain: of this realm, of another one, without a prototype, or with an empty one
 * (as parsed forms and query strings have).
 */
export function isPlainPrototype (prototype: unknown): boolean {
  if (prototype === null || prototype === Object.prototype) return true
  return Object.getPrototypeOf(prototype) === null &&
    (Object.hasOwn(prototype as object, 'isPrototypeOf') || Reflect.ownKeys(prototype as object).length === 0)
}

/** Whether a value has members by name: an object that is no list. */
export function isObject (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
