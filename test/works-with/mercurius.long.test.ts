/** mercurius: resolvers and loaders use session(), and each operation of a batch the session of its request. */
import mercurius from 'mercurius'
import t from 'tap'
import { session } from '../../src/index.ts'
import { visitor, type Visitor } from '../helpers/client.ts'
import { serve } from '../http/support.ts'

const schema = `
  type User { name: String, greeting: String }
  type Query { me: User, viaContext: String, visits: Int }
  type Mutation { signIn(name: String!): String, signOut: Boolean, visit: Int }
`

async function ask (browser: Visitor, query: string): Promise<unknown> {
  const { json } = await browser.post('/graphql', { query })
  return (json as { data: unknown }).data
}

t.test('queries, mutations, loaders and batches of two visitors use their own sessions', async t => {
  const app = await serve(t, async app => {
    await app.register(mercurius, {
      schema,
      allowBatchedQueries: true,
      context: req => ({ session: req.session }),
      resolvers: {
        Query: {
          me: () => session().has('name') ? { name: session('name') } : null,
          viaContext: (_root, _args, context) => (context as unknown as { session: typeof session }).session('name'),
          visits: async () => { await new Promise(setImmediate); return session('visits', 0) }
        },
        Mutation: {
          signIn: (_root, { name }: { name: string }) => { session().regenerate(); session({ name }); return name },
          signOut: () => { session().invalidate(); return true },
          visit: () => session().increment('visits')
        }
      },
      loaders: {
        User: { greeting: async (queries: readonly { obj: { name: string } }[]) => queries.map(({ obj }) => `hello ${obj.name}, as ${session('name') as string}`) }
      }
    })
  })
  const [ada, eve] = [visitor(app), visitor(app)]
  t.same(await ask(ada, 'mutation { signIn(name: "ada") }'), { signIn: 'ada' })
  t.same(await ask(eve, 'mutation { signIn(name: "eve") }'), { signIn: 'eve' })
  const me = '{ me { name greeting } viaContext }'
  t.same(await Promise.all([ask(ada, me), ask(eve, me)]), ['ada', 'eve'].map(name => ({ me: { name, greeting: `hello ${name}, as ${name}` }, viaContext: name })))
  await ada.post('/graphql', [{ query: 'mutation { visit }' }, { query: 'mutation { visit }' }])
  t.same(await ask(ada, '{ visits }'), { visits: 2 })
  t.same(await ask(eve, '{ visits }'), { visits: 0 })
  await ask(ada, 'mutation { signOut }')
  t.same(await ask(ada, '{ me { name } }'), { me: null })
  t.same(await ask(eve, '{ me { name } }'), { me: { name: 'eve' } })
})
