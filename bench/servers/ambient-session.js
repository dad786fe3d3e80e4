import ambientSession, { RedisStore } from '../../dist/index.js'
import { addresses } from '../lib/addresses.js'
import { ambientStack } from './ambient-stack.js'
import { serve } from './serve.js'

const [kind, place] = process.argv.slice(2)
const { redis, postgres, mariadb } = addresses

const optionsOf = {
  memory: () => ({ driver: 'memory' }),
  file: () => ({ driver: 'file', files: place }),
  // What the driver 'redis' is, with keys of its own.
  redis: () => ({ driver: new RedisStore({ connection: redis, prefix: place, client: 'ioredis' }) }),
  postgres: () => ({ driver: 'database', connection: postgres, table: place, createTable: true }),
  mariadb: () => ({ driver: 'database', connection: mariadb, table: place, createTable: true })
}

await serve(ambientStack(app => app.register(ambientSession, optionsOf[kind]())))
