/**
 * Where to go after signing in. The address is kept in the session and not in a link or a field of the form, so nobody
 * can make a sign-in page that leads elsewhere (an open redirect).
 */
import { session } from 'ambient-session'

export function rememberPage (url: string): void {
  session().setPreviousUrl(url)
}

export function rememberedPage (): string {
  return session().previousUrl() ?? '/'
}
