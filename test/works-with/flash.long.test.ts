/** @fastify/flash: messages that are read once, by the visitor for whom they were left. */
import flash from '@fastify/flash'
import t from 'tap'
import { session } from '../../src/index.ts'
import { visitor } from '../helpers/client.ts'
import { serve } from '../http/support.ts'

t.test('messages are kept until they are read, and seen by their own visitor alone', async t => {
  const app = await serve(t, async app => {
    await app.register(flash)
    app.get<{ Params: { name: string } }>('/leave/:name', async req => ({
      first: req.flash('info', 'hello %s', req.params.name), list: req.flash('info', ['a', 'b']), other: req.flash('warning', 'careful')
    }))
    app.get('/nothing', async () => 'no one reads')
    app.get('/read/info', async (_req, reply) => reply.flash('info'))
    app.get('/read', async (_req, reply) => reply.flash())
  })
  const [ada, eve] = [visitor(app), visitor(app)]
  t.same((await ada.get('/leave/ada')).json, { first: 1, list: 3, other: 1 })
  await eve.get('/leave/eve')
  await ada.get('/nothing')
  t.same((await ada.get('/read/info')).json, ['hello ada', 'a', 'b'])
  t.same((await ada.get('/read/info')).json, [])
  t.same((await ada.get('/read')).json, { warning: ['careful'] })
  t.same((await eve.get('/read')).json, { info: ['hello eve', 'a', 'b'], warning: ['careful'] })
  t.same((await eve.get('/read')).json, {})
})

t.test('it and the session\'s own flash data do not touch each other', async t => {
  const app = await serve(t, async app => {
    await app.register(flash)
    app.get('/leave', async req => {
      req.flash('info', 'from the plugin')
      req.session().flash('info', 'from the session')
    })
    app.get('/type', { config: { session: { readonly: true } } }, async req => typeof req.session.flash)
    app.get('/read', async (_req, reply) => ({ plugin: reply.flash('info'), session: session('info') }))
  })
  const ada = visitor(app)
  await ada.get('/leave')
  t.equal((await ada.get('/type')).text, 'object', 'the plugin\'s key hides the method of that name from req.session, but not from req.session()')
  t.same((await ada.get('/read')).json, { plugin: ['from the plugin'], session: 'from the session' })
  t.same((await ada.get('/read')).json, { plugin: [] })
})
