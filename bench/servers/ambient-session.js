import ambientSession, { session } from '../../dist/index.js'
import { serve } from './serve.js'
import { newVisitor, SECRET } from './visitor.js'

const [kind, directory, redis] = process.argv.slice(2)

const optionsOf = {
  memory: { driver: 'memory' },
  file: { driver: 'file', files: directory },
  cookie: { driver: 'cookie', secret: SECRET },
  redis: { driver: 'redis', connection: redis }
}

await serve({
  register: app => app.register(ambientSession, optionsOf[kind]),
  begin () { session(newVisitor()) },
  name: () => session('name'),
  countVisit () { session().increment('visits') },
  visits: () => session('visits')
})
