/** Servers of Redis that belong to one test: on a free port, with their data in a directory of the test, killed at its end. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import type { Test } from 'tap'
import { Redis } from 'ioredis'

const run = promisify(execFile)

/** Milliseconds for a server to start; many times what it takes. */
const PATIENCE = 20_000

export interface RedisServer {
  readonly port: number
  readonly url: string
  /** Resolves when the server accepts connections, or, if so asked, as soon as it has said something else. */
  start (line?: RegExp): Promise<void>
  /** Ends it at once, as a crash would. */
  kill (): Promise<void>
  /** Stops it in the middle of whatever it does, and lets it go on. */
  signal (name: 'SIGSTOP' | 'SIGCONT'): void
  /** Runs a command over a connection of its own. */
  command (...args: [string, ...string[]]): Promise<unknown>
}

export async function hasRedisServer (): Promise<boolean> {
  return (await run('redis-server', ['--version'])).stdout.includes('v=')
}

/** A server that has not been started yet, on a port that is free. */
export async function newRedisServer (t: Test, ...options: string[]): Promise<RedisServer> {
  const port = await freePort()
  const directory = await mkdtemp(join(tmpdir(), 'ambient-session-redis-'))
  let child: ChildProcess | undefined
  const kill = async (): Promise<void> => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  t.teardown(async () => {
    await kill()
    await rm(directory, { recursive: true, force: true })
  })
  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    kill,
    signal (name) { child?.kill(name) },
    async start (line = /Ready to accept connections/) {
      const isSentinel = options.includes('--sentinel')
      const common = ['--port', String(port), '--bind', '127.0.0.1', '--dir', directory]
      // A file of settings comes first, and a sentinel saves nothing else.
      const args = isSentinel ? [...options, ...common] : [...common, '--save', '', ...options]
      const started = child = spawn('redis-server', args, { stdio: ['ignore', 'pipe', 'inherit'] })
      const timer = setTimeout(() => { started.kill('SIGKILL') }, PATIENCE)
      const said: string[] = []
      for await (const text of createInterface(started.stdout)) {
        said.push(text)
        if (!line.test(text)) continue
        clearTimeout(timer)
        started.stdout.resume()
        return
      }
      throw new Error(`redis-server did not start: ${said.join('\n')}`)
    },
    async command (name, ...args) {
      const client = new Redis({ port, enableReadyCheck: false })
      try {
        return await client.call(name, ...args)
      } finally {
        client.disconnect()
      }
    }
  }
}

/** A server that runs. */
export async function redisServer (t: Test, ...options: string[]): Promise<RedisServer> {
  const server = await newRedisServer(t, ...options)
  await server.start()
  return server
}

/** The servers of a cluster, which have divided the keys among them. */
export async function redisCluster (t: Test, ...options: string[]): Promise<RedisServer[]> {
  const servers = await Promise.all(['a', 'b', 'c'].map(async name => {
    const bus = String(await freePort())
    return await redisServer(t, '--cluster-enabled', 'yes', '--cluster-config-file', `${name}.conf`, '--cluster-port', bus, ...options)
  }))
  const nodes = servers.map(({ port }) => `127.0.0.1:${port}`)
  await run('redis-cli', ['--cluster', 'create', ...nodes, '--cluster-replicas', '0', '--cluster-yes'], { timeout: PATIENCE })
  // Each of them has to see it.
  for (const server of servers) await says(server, /cluster_state:ok/, 'CLUSTER', 'INFO')
  return servers
}

export interface SentinelServers {
  readonly primary: RedisServer
  readonly replica: RedisServer
  readonly sentinel: RedisServer
  /** What the sentinel calls the primary. */
  readonly name: string
}

/** A server, its replica, and a sentinel that makes the replica the primary when the server does not answer for a while. */
export async function redisSentinel (t: Test, silence = 300): Promise<SentinelServers> {
  const name = 'sessions'
  const primary = await redisServer(t)
  const replica = await redisServer(t, '--replicaof', '127.0.0.1', String(primary.port), '--repl-diskless-sync-delay', '0')
  const settings = join(t.testdir({
    'sentinel.conf': [
    `sentinel monitor ${name} 127.0.0.1 ${primary.port} 1`,
    `sentinel down-after-milliseconds ${name} ${silence}`,
    `sentinel failover-timeout ${name} 5000`
    ].join('\n')
  }), 'sentinel.conf')
  const sentinel = await newRedisServer(t, settings, '--sentinel')
  await sentinel.start(/\+monitor|Sentinel ID is/)
  await says(primary, /state=online/, 'INFO', 'replication')
  await says(sentinel, new RegExp(String(replica.port)), 'SENTINEL', 'REPLICAS', name)
  return { primary, replica, sentinel, name }
}

/** Waits until a server answers a command in some way. */
async function says (server: RedisServer, answer: RegExp, ...command: [string, ...string[]]): Promise<void> {
  const deadline = Date.now() + PATIENCE
  while (!answer.test(String(await server.command(...command)))) {
    if (Date.now() > deadline) throw new Error(`${command.join(' ')} did not come to ${String(answer)}`)
    await delay(20)
  }
}

/** A port that is free. */
export async function freePort (): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address() as AddressInfo
  probe.close()
  await once(probe, 'close')
  return port
}
