/** tRPC's adapter for Fastify: procedures and middleware use session(), over calls, batches and streamed batches. */
import { initTRPC, TRPCError } from '@trpc/server'
import { type CreateFastifyContextOptions, fastifyTRPCPlugin } from '@trpc/server/adapters/fastify'
import t from 'tap'
import { session } from '../../src/index.ts'
import { visitor, type Visitor } from '../helpers/client.ts'
import { Log, serve } from '../http/support.ts'

const trpc = initTRPC.context<ReturnType<typeof createContext>>().create()

function createContext ({ req }: CreateFastifyContextOptions) {
  return { session: req.session }
}

const signedIn = trpc.procedure.use(async ({ next }) => {
  if (session().missing('name')) throw new TRPCError({ code: 'UNAUTHORIZED' })
  return await next()
})

const router = trpc.router({
  signIn: trpc.procedure.input(String).mutation(({ input }) => {
    session().regenerate()
    session({ name: input })
    return input
  }),
  signOut: trpc.procedure.mutation(async ({ ctx }) => { await ctx.session.destroy() }),
  me: signedIn.query(({ ctx }) => ctx.session('name')),
  visit: signedIn.mutation(async () => { await new Promise(setImmediate); return session().increment('visits') }),
  visitAndSave: signedIn.mutation(async () => {
    await new Promise(setImmediate)
    const visits = session().increment('visits')
    await session().save()
    return visits
  })
})

async function call (browser: Visitor, name: string, input?: unknown): Promise<unknown> {
  const { json, status } = await browser.post(`/trpc/${name}`, JSON.stringify(input ?? null), { 'content-type': 'application/json' })
  return status === 200 ? (json as { result: { data?: unknown } }).result.data : status
}

t.test('procedures of two visitors use their own sessions', async t => {
  const app = await serve(t, async app => {
    await app.register(fastifyTRPCPlugin, { prefix: '/trpc', trpcOptions: { router, createContext } })
  })
  const [ada, eve] = [visitor(app), visitor(app)]
  const me = async (browser: Visitor) => {
    const { json, status } = await browser.get('/trpc/me')
    return status === 200 ? (json as { result: { data?: unknown } }).result.data : status
  }
  t.equal(await me(ada), 401)
  t.equal(await call(ada, 'signIn', 'ada'), 'ada')
  t.equal(await call(eve, 'signIn', 'eve'), 'eve')
  t.same(await Promise.all([me(ada), me(eve)]), ['ada', 'eve'])
  const batch = await ada.post('/trpc/visit,visit?batch=1', {})
  t.same((batch.json as { result: { data: number } }[]).map(({ result }) => result.data).sort(), [1, 2])
  t.equal(await call(ada, 'visit'), 3)
  t.equal(await call(eve, 'visit'), 1)
  await call(ada, 'signOut')
  t.same([await me(ada), await me(eve)], [401, 'eve'])
})

t.test('in a streamed batch a procedure saves what it changes, because the headers have left; what is not saved is reported', async t => {
  const log = new Log()
  const app = await serve(t, async app => {
    await app.register(fastifyTRPCPlugin, { prefix: '/trpc', trpcOptions: { router, createContext } })
  }, {}, { logger: { level: log.level, stream: log.stream } })
  const ada = visitor(app)
  await call(ada, 'signIn', 'ada')
  const streamed = async (name: string) => (await ada.post(`/trpc/${name},${name}?batch=1`, {}, { 'trpc-accept': 'application/jsonl' })).status
  t.equal(await streamed('visitAndSave'), 200)
  t.equal(await call(ada, 'visit'), 3)
  t.equal(await streamed('visit'), 200)
  const [warning] = await log.warnings(1)
  t.match(warning, { code: 'AMBIENT_SESSION_UNSAVED', keys: ['visits'] })
  t.equal(await call(ada, 'visit'), 4)
})
