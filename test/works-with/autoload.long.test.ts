/** @fastify/autoload: a folder of plugins, with the options that it hands on to each of them. */
import { join } from 'node:path'
import autoload from '@fastify/autoload'
import Fastify from 'fastify'
import t from 'tap'
import { visitor } from '../helpers/client.ts'
import { listening } from '../http/support.ts'

const PACKAGE = JSON.stringify(import.meta.resolve('../../src/index.ts'))
const PLUGIN = JSON.stringify(import.meta.resolve('fastify-plugin'))

const plugins: Record<string, string> = {
  'that is ambient-session itself': `export { default } from ${PACKAGE}`,
  'that registers it': `
    import fp from ${PLUGIN}
    import ambientSession from ${PACKAGE}
    export default fp(async app => { await app.register(ambientSession, { driver: 'memory' }) })`,
  'that registers it with the options that were handed on': `
    import fp from ${PLUGIN}
    import ambientSession from ${PACKAGE}
    export default fp(async (app, options) => { await app.register(ambientSession, { ...options, driver: 'memory' }) })`
}

for (const [what, plugin] of Object.entries(plugins)) {
  t.test(`a plugin ${what}`, async t => {
    const directory = t.testdir({
      plugins: { session: { 'index.mjs': plugin } },
      routes: {
        name: {
          'index.mjs': `
        export default async app => {
          app.post('/:name', async req => { req.session.name = req.params.name })
          app.get('/', async req => req.session('name', 'nobody'))
        }`
        }
      }
    })
    t.intercept(process, 'env', { value: { ...process.env, SESSION_FILES: join(directory, 'sessions') } })
    const app = Fastify()
    t.teardown(() => app.close())
    // As the project that fastify-cli generates does.
    const options = { skipOverride: true }
    await app.register(autoload, { dir: join(directory, 'plugins'), options })
    await app.register(autoload, { dir: join(directory, 'routes'), options })
    await listening(app)
    const [ada, eve] = [visitor(app), visitor(app)]
    for (const [browser, name] of [[ada, 'ada'], [eve, 'eve']] as const) t.equal((await browser.post(`/name/${name}`, {})).status, 200)
    t.same([(await ada.get('/name')).text, (await eve.get('/name')).text], ['ada', 'eve'])
  })
}
