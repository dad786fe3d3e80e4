/** The text of a new `config/session.*`. */

/** Everything stands as a comment, so that what is not decided here stays open to the environment. */
export const configFile = `import { defineConfig } from 'ambient-session'

// This file is read where register(ambientSession) is given no options, or the option configFile names it.
//
// Each option is shown with its default. Take away the // to change one; what is left out comes from the environment
// (SESSION_LIFETIME, SESSION_SECRET, ...) or else is the default. null stands for "none".
export default defineConfig({
  // Where sessions are kept: 'file', 'memory' (gone with the process), 'redis' or 'database' (which need a connection),
  // 'cookie' (in the browser, encrypted; needs a secret), 'null' (nowhere) or an object that is a SessionStore.
  // driver: 'file',

  // Directory of the session files, relative to the working directory.
  // files: 'storage/framework/sessions',

  // Wait for the disk on every commit, so that a power failure loses none.
  // durable: false,

  // Read the files through the thread pool, so that slow storage does not hold up the event loop.
  // asyncReads: false,

  // Server of the drivers 'redis' and 'database': a URL (redis://, rediss://, postgres://, mysql://, mariadb://,
  // sqlite:FILE) or a client. A URL with a password is better kept in SESSION_CONNECTION.
  // connection: null,

  // Table of the driver 'database'.
  // table: 'sessions',

  // Let the driver 'database' make its table when it is missing.
  // createTable: false,

  // Seconds for which the drivers 'redis' and 'database' wait for an answer before a request fails with 503.
  // timeout: 2,

  // Minutes without use after which a session ends.
  // lifetime: 120,

  // Minutes after its creation at which a session ends whatever its use.
  // absoluteLifetime: null,

  // Let browsers forget the cookie when they close.
  // expireOnClose: false,

  // Name of the cookie.
  // cookie: 'ambient_session',

  // Path of the cookie.
  // path: '/',

  // Domain of the cookie; without one only the host that set it gets it back.
  // domain: null,

  // Send the cookie over HTTPS only: true, false, or 'auto' to follow the request's protocol.
  // secure: 'auto',

  // Hide the cookie from scripts in the page.
  // httpOnly: true,

  // Which requests of other sites carry the cookie: 'lax', 'strict' or 'none'.
  // sameSite: 'lax',

  // Keep the cookie apart for every top-level site.
  // partitioned: false,

  // Signs the cookie: a text of at least 32 characters or a Buffer of 32 bytes, or a list to rotate secrets. Better kept
  // in SESSION_SECRET.
  // secret: null,

  // Encrypt what the store keeps; needs a secret.
  // encrypt: false,

  // Let only one request at a time work on a session: true, or { lock: 10, wait: 10 } in seconds.
  // block: false,

  // Record the URL of GET pages for previousUrl(), which costs a write per page.
  // previousUrl: false,

  // Form fields that flashInput() leaves out, besides files, _token and password fields.
  // dontFlash: [],

  // Refuse requests that another site makes the browser send: true, or { except: ['/webhooks/*'], origins: ['https://spa.example'],
  // headers: ['X-CSRF-TOKEN'], field: '_token', cookie: 'XSRF-TOKEN' }.
  // csrf: false,

  // Answer a form that fails its route's schema with a redirect back, with errors and input for the page.
  // flashValidation: false,

  // Sessions of another package go on here: { cookie: 'connect.sid', secret: 'the old one', store: oldStore }.
  // adopt: [],

  // Seconds for which an ended session's key is remembered as ended.
  // grace: 10,

  // Seconds between two removals of expired sessions in the background, or false for none.
  // sweep: 60,

  // Largest size of one session in bytes.
  // maxBytes: 1048576,
})
`
