/** Sessions as browsers get them: by HTTP. */

/**
 * @param {number} port
 * @param {number} count
 * @returns {Promise<string[]>} the cookies of as many new sessions
 */
export async function createSessions (port, count) {
  const cookies = []
  for (let index = 0; index < count; index++) cookies.push(cookieOf(await get(port, '/new')))
  return cookies
}

/**
 * Sees to it that a server does what is going to be measured.
 *
 * @param {number} port
 * @throws Error at the first thing it does not do
 */
export async function checkSessions (port) {
  const created = await get(port, '/new')
  const written = await get(port, '/write', cookieOf(created))
  const cookie = cookieOf(written) ?? cookieOf(created)
  const { visits } = JSON.parse((await get(port, '/visits', cookie)).body)
  if (visits !== 1) throw new Error(`a write was not stored: 1 visit became ${visits}`)
  await checkBodies(port, cookie)
}

/** Sees to it that all routes answer the same. */
export async function checkBodies (port, cookie) {
  const bodies = await Promise.all(['/untouched', '/read', '/write', '/new'].map(async path => (await get(port, path, cookie)).body))
  const expected = '{"hello":"Ada Lovelace"}'
  const wrong = bodies.find(body => body !== expected)
  if (wrong !== undefined) throw new Error(`a route answered ${wrong} and not ${expected}`)
  const { cookies } = await get(port, '/untouched')
  if (cookies.length > 0) throw new Error('a visitor without a session was given a cookie')
}

async function get (port, path, cookie) {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { headers: cookie === undefined ? {} : { cookie } })
  const body = await response.text()
  if (!response.ok) throw new Error(`GET ${path} answered ${response.status}: ${body}`)
  return { body, cookies: response.headers.getSetCookie() }
}

/** What a browser sends back; undefined where it was not given anything. */
function cookieOf ({ cookies: [line] }) {
  return line?.split(';', 1)[0]
}
