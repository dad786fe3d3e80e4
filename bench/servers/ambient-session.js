import ambientSession from '../../dist/index.js'
import { ambientStack } from './ambient-stack.js'
import { serve } from './serve.js'

const [driver, files] = process.argv.slice(2)

await serve(ambientStack(app => app.register(ambientSession, { driver, files })))
