import t from 'tap'
import { resolveConfig } from '../../src/config/resolve.ts'
import { DatabaseStore, FileStore, MemoryStore, RedisStore, type SessionOptions } from '../../src/index.ts'
import { createStore } from '../../src/stores/create.ts'
import { nullStore } from '../../src/stores/null.ts'

async function storeFor (options: SessionOptions): Promise<unknown> {
  return createStore(await resolveConfig(options, { env: {}, cwd: '/nowhere' }), () => {})
}

t.test('each driver has its store', async t => {
  t.type(await storeFor({ driver: 'file' }), FileStore)
  t.type(await storeFor({ driver: 'memory' }), MemoryStore)
  t.type(await storeFor({ driver: 'array' }), MemoryStore)
  t.type(await storeFor({ driver: 'redis', connection: 'redis://127.0.0.1' }), RedisStore)
  t.type(await storeFor({ driver: 'database', connection: 'sqlite::memory:' }), DatabaseStore)
  t.equal(await storeFor({ driver: 'null' }), nullStore)
})

t.test('with sessions in a cookie there is none on this side', async t => {
  t.equal(await storeFor({ driver: 'cookie', secret: 'a secret of at least 32 characters' }), nullStore)
})

t.test('a client that is none of the driver\'s is a fault of the options', async t => {
  await t.rejects(storeFor({ driver: 'redis', connection: {} }), { code: 'ERR_SESSION_CONFIG' })
})

t.test('an object that is a store is taken as it is', async t => {
  const store = new MemoryStore()
  t.equal(await storeFor({ driver: store }), store)
})
