/** What the peers are told, so that they do as much as ambient-session does by default. */

/** Seconds. */
export const LIFETIME = 120 * 60
/** They do not run without one; nothing that anybody would want to forge is signed with it. */
export const SECRET = 'a secret that is good enough for a benchmark'
