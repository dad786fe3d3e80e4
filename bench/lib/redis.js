/** A Redis server of the benchmark's own, on the load's core: the stack under measurement has its core to itself. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { createClient } from 'redis'
import { onExit } from './exit.js'

/** Milliseconds. */
const PATIENCE = 5_000

/**
 * @param {string} directory
 * @returns undefined when none is installed
 */
export async function startRedis (directory) {
  const port = await freePort()
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--dir', directory, '--save', '', '--appendonly', 'no']
  const server = spawn('redis-server', args, { stdio: ['ignore', 'pipe', 'inherit'] })
  onExit(() => { server.kill('SIGKILL') })
  try {
    await once(server, 'spawn')
  } catch {
    return undefined
  }
  await ready(server)
  const url = `redis://127.0.0.1:${port}`
  const client = await createClient({ url }).connect()
  return {
    url,
    version: /^redis_version:(\S+)/m.exec(await client.info('server'))[1],
    clear: () => client.flushAll(),
    /** @returns microseconds of CPU that it has used so far */
    async cpu () {
      const info = await client.info('cpu')
      const secondsOf = name => Number(new RegExp(`^${name}:(\\S+)`, 'm').exec(info)[1])
      return (secondsOf('used_cpu_user') + secondsOf('used_cpu_sys')) * 1e6
    }
  }
}

async function ready (server) {
  const signal = AbortSignal.timeout(PATIENCE)
  for (let output = ''; !output.includes('Ready to accept connections');) output += (await once(server.stdout, 'data', { signal }))[0]
  server.stdout.resume()
}

async function freePort () {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address()
  probe.close()
  await once(probe, 'close')
  return port
}
