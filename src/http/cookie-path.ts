/**
 * Whether a browser sends a cookie with this path along with a request (RFC 6265, section 5.1.4).
 *
 * @param url the request's target as it came
 */
export function isWithinPath (url: string, path: string): boolean {
  if (path === '/') return true
  const end = url.search(/[?#]/)
  const requested = end === -1 ? url : url.slice(0, end)
  return requested === path || (requested.startsWith(path) && (path.endsWith('/') || requested[path.length] === '/'))
}
