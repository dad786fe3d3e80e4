/** @returns what a message calls a value that should have been another one: its kind, and nothing of what is in it */
export function kindOf (value: unknown): string {
  if (value === null || value === undefined) return String(value)
  if (value === '') return 'an empty text'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value)
  if (typeof value !== 'object') return `a ${typeof value}`
  const { constructor } = value
  const name = typeof constructor === 'function' ? constructor.name : ''
  if (name === '' || name === 'Object') return 'an object'
  return `${/^[aeiou]/i.test(name) ? 'an' : 'a'} ${name}`
}
