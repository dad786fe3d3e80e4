import t from 'tap'
import { request, session } from '../src/index.ts'
import { visitor } from './helpers/client.ts'
import { serve } from './http/support.ts'

t.test('importing the global entry makes session and request globals', async t => {
  t.equal('session' in globalThis, false, 'it is not one before')
  await import('../src/global.ts')
  t.equal(globalThis.session, session)
  t.equal(globalThis.request, request)
  const app = await serve(t, app => {
    app.get('/', async () => globalThis.session('visits', 'no visits'))
  })
  t.equal((await visitor(app).get('/')).text, 'no visits')
})
