/** Sessions as browsers get them: by HTTP. */

const BODY = '{"hello":"Ada Lovelace"}'

/** @returns {Promise<string[]>} the cookies of as many new sessions; made-up ones where the server gives none */
export async function createSessions (port, count) {
  const cookies = []
  for (let index = 0; index < count; index++) cookies.push((await get(port, '/new')).cookie ?? `sessionId=${String(index).padStart(43, '0')}`)
  return cookies
}

/**
 * @param {number[]} ports of the processes of one stack
 * @throws Error when they do not do what is going to be measured
 */
export async function checkSessions ([port, otherPort = port]) {
  const created = await get(port, '/new')
  const written = await get(port, '/write', created.cookie)
  const cookie = written.cookie ?? created.cookie
  const { body } = await get(otherPort, '/visits', cookie)
  if (body !== '{"visits":1}') throw new Error(`a write was not stored: the answer is ${body}`)
  const bodies = await Promise.all(['/untouched', '/read', '/write', '/new'].map(async path => (await get(port, path, cookie)).body))
  const wrong = bodies.find(body => body !== BODY)
  if (wrong !== undefined) throw new Error(`a route answered ${wrong} instead of ${BODY}`)
  if ((await get(port, '/untouched')).cookie !== undefined) throw new Error('a visitor without a session got a cookie')
}

async function get (port, path, cookie) {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { headers: cookie === undefined ? {} : { cookie } })
  const body = await response.text()
  if (!response.ok) throw new Error(`GET ${path} answered ${response.status}: ${body}`)
  return { body, cookie: response.headers.getSetCookie()[0]?.split(';', 1)[0] }
}
