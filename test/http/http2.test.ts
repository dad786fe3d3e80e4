/** Requests over HTTP/2. */
import { once } from 'node:events'
import { connect } from 'node:http2'
import Fastify from 'fastify'
import t from 'tap'
import ambientSession, { session } from '../../src/index.ts'
import { COOKIE } from './support.ts'

t.test('a session goes from request to request over HTTP/2', async t => {
  const app = Fastify({ http2: true })
  t.teardown(() => app.close())
  await app.register(ambientSession, { driver: 'memory', sweep: false })
  app.get('/visit', async () => `visit ${session().increment('visits')}`)
  const client = connect(await app.listen({ port: 0, host: '127.0.0.1' }))
  t.teardown(() => { client.close() })
  const visit = async (cookie = ''): Promise<[text: string, cookie: string]> => {
    const stream = client.request({ ':path': '/visit', cookie })
    const [headers] = await once(stream, 'response') as [Record<string, string[] | undefined>]
    const chunks: Buffer[] = []
    for await (const chunk of stream) chunks.push(chunk as Buffer)
    return [Buffer.concat(chunks).toString(), headers['set-cookie']?.[0]?.split(';')[0] ?? '']
  }
  const [text, cookie] = await visit()
  t.equal(text, 'visit 1')
  t.match(cookie, `${COOKIE}=`)
  t.same(await visit(cookie), ['visit 2', ''])
})
