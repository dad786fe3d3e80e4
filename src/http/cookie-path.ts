/**
 * Whether a browser sends a cookie with this path along with a request (RFC 6265, section 5.1.4).
 *
 * @param url the request's target as it came
 */
export function isWithinPath (url: string, path: string): boolean {
  if (path === '/') return true
  const requested = pathOf(url)
  return requested === path || (requested.startsWith(path) && (path.endsWith('/') || requested[path.length] === '/'))
}

/** @returns the path of a request's target, which may be in absolute form (RFC 9112, section 3.2.2) */
export function pathOf (url: string): string {
  const target = url.startsWith('/') ? url : url.replace(/^[a-z][a-z\d+.-]*:\/\/[^/?#]*/i, '')
  const end = target.search(/[?#]/)
  return end === -1 ? target : target.slice(0, end)
}

/**
 * Whether a route can answer requests for what is within a path, in whatever spelling: the router decodes URLs, and may ignore case,
 * doubled slashes and one at the end.
 *
 * @param pattern the route's, as in `routeOptions.url`; undefined where no route was found
 */
export function canAnswerWithin (pattern: string | undefined, path: string): boolean {
  const [fixed = '', ...variable] = normalized(pattern ?? '*').split(/[:*]/)
  const base = normalized(decoded(path)).replace(/\/$/, '')
  return isWithinPath(fixed, base) || (variable.length > 0 && base.startsWith(fixed))
}

function normalized (path: string): string {
  return path.toLowerCase().replace(/\/{2,}/g, '/')
}

function decoded (path: string): string {
  try {
    return decodeURI(path)
  } catch {
    return path
  }
}
