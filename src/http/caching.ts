/** What caches have to know of a response that was made with a session. */

/** @returns the Vary header of a response that depends on the cookie (RFC 9110, section 12.5.5) */
export function varyWithCookie (vary: string): string {
  if (vary === '') return 'Cookie'
  return /(^|,)\s*(\*|cookie)\s*(,|$)/i.test(vary) ? vary : `${vary}, Cookie`
}

/** A directive with or without a value, which may be quoted and have commas in it. */
const DIRECTIVE = /[^\s,="]+(\s*=\s*("[^"]*"|[^\s,]*))?/g

/**
 * @param cacheControl what the application says
 * @returns the Cache-Control header of a response that sets a visitor's cookie: no shared cache may keep it (RFC 9111, section
 *   5.2.2.7). A qualified `no-cache` or `private` concerns only the fields that it names, and caches may ignore the names.
 */
export function keepPrivate (cacheControl: string): string {
  const directives = cacheControl.match(DIRECTIVE) ?? []
  if (directives.some(directive => /^(no-store|private)$/i.test(directive))) return cacheControl
  const others = directives.filter(directive => !/^(public|s-maxage|private)\b/i.test(directive))
  return [...others, 'private'].join(', ')
}
