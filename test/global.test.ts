import t from 'tap'
import { session } from '../src/index.ts'
import { visitor } from './helpers/client.ts'
import { serve } from './http/support.ts'

t.test('importing the global entry makes session a global', async t => {
  t.equal('session' in globalThis, false, 'it is not one before')
  await import('../src/global.ts')
  t.equal(globalThis.session, session)
  const app = await serve(t, app => {
    app.get('/', async () => globalThis.session('visits', 'no visits'))
  })
  t.equal((await visitor(app).get('/')).text, 'no visits')
})
