/** @fastify/view, with ejs and eta: what a template calls while it renders is the session of the request that renders it. */
import view from '@fastify/view'
import ejs from 'ejs'
import { Eta } from 'eta'
import t from 'tap'
import { session } from '../../src/index.ts'
import { visitor } from '../helpers/client.ts'
import { Gate, serve } from '../http/support.ts'

const engines = {
  'ejs, rendered asynchronously': { engine: { ejs }, options: { async: true }, template: 'hello.ejs', hello: 'hello <%= await name() %>, <%= await count() %>' },
  ejs: { engine: { ejs }, options: {}, template: 'hello.ejs', hello: 'hello <%= session(\'name\') %>, <%= session().get(\'count\') %>' },
  eta: { engine: { eta: new Eta() }, options: {}, template: 'hello.eta', hello: 'hello <%= it.session(\'name\') %>, <%= it.session().get(\'count\') %>' }
}

for (const [name, { engine, options, template, hello }] of Object.entries(engines)) {
  t.test(`${name}: each visitor's page shows their own session, also while both render`, async t => {
    const templates = t.testdir({ [template]: hello })
    const gates = { ada: new Gate(), eve: new Gate() }
    const app = await serve(t, async app => {
      await app.register(view, {
        engine,
        root: templates,
        options,
        defaultContext: {
          session,
          name: async () => {
            const name = session('name') as 'ada' | 'eve'
            await gates[name].pass()
            return name
          },
          count: async () => session('count')
        }
      })
      app.get<{ Params: { name: string } }>('/in/:name', async req => { session({ name: req.params.name }) })
      app.get('/', (_req, reply) => {
        session().increment('count')
        return reply.viewAsync(template)
      })
    })
    const [ada, eve] = [visitor(app), visitor(app)]
    await ada.get('/in/ada')
    await eve.get('/in/eve')
    const pages = [ada.get('/'), eve.get('/')]
    if ('async' in options) await Promise.all([gates.ada.reached, gates.eve.reached])
    gates.eve.open()
    gates.ada.open()
    t.same((await Promise.all(pages)).map(({ text }) => text), ['hello ada, 1', 'hello eve, 1'])
    t.equal((await ada.get('/')).text, 'hello ada, 2')
  })
}
