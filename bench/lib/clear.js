/** `clear.js SPACE SERVICE…`: removes what the benchmark has kept on these services. */
import { services } from './services.js'

const [space, ...names] = process.argv.slice(2)
const results = await Promise.allSettled(names.map(name => services[name].clear(space)))
for (const { reason } of results) {
  if (reason === undefined) continue
  console.error(reason.message)
  process.exitCode = 1
}
