/** Which URLs lead to this application, and never to another site (CWE-601, open redirect). */
import type { FastifyRequest } from 'fastify'
import { urlOf } from './page.ts'

/** Stands for the origin of a request whose Host header names none: nothing but paths can belong to it. */
const NO_ORIGIN = 'http://invalid'

/**
 * @param url an absolute URL or a path, as a browser, a form or the application gives it
 * @returns its path, with query and fragment, if a browser that follows it from this request stays on this origin; else
 *   `undefined`. It is always a path, so that a forged Host header cannot lead away
 */
export function ownPath (url: string, request: FastifyRequest): string | undefined {
  const here = urlOf(request) ?? NO_ORIGIN
  if (!URL.canParse(url, here)) return undefined
  // The URL is read as browsers do (WHATWG): backslashes are slashes, and tabs, line breaks and dot segments are gone.
  const { origin, pathname, search, hash } = new URL(url, here)
  // A path that begins with two slashes would name a host.
  return origin === new URL(here).origin && pathname.startsWith('/') && !pathname.startsWith('//') ? pathname + search + hash : undefined
}
