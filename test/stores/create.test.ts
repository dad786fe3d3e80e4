import t from 'tap'
import { resolveConfig } from '../../src/config/resolve.ts'
import { FileStore, MemoryStore } from '../../src/index.ts'
import type { SessionOptions } from '../../src/index.ts'
import { createStore } from '../../src/stores/create.ts'
import { nullStore } from '../../src/stores/null.ts'

async function storeFor (options: SessionOptions): Promise<unknown> {
  return createStore(await resolveConfig(options, { env: {}, cwd: '/nowhere' }), () => {})
}

t.test('each driver has its store', async t => {
  t.type(await storeFor({ driver: 'file' }), FileStore)
  t.type(await storeFor({ driver: 'memory' }), MemoryStore)
  t.type(await storeFor({ driver: 'array' }), MemoryStore)
  t.equal(await storeFor({ driver: 'null' }), nullStore)
})

t.test('an object that is a store is taken as it is', async t => {
  const store = new MemoryStore()
  t.equal(await storeFor({ driver: store }), store)
})
