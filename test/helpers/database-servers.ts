/**
 * Servers of PostgreSQL and MariaDB that belong to one test: on a free port, with their data in a temporary directory, killed
 * at its end.
 */
import { type ChildProcess, execFile, spawn, type SpawnOptions } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { chown, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import mysql from 'mysql2/promise'
import pg from 'pg'
import type { Test } from 'tap'
import { freePort } from './redis-server.ts'

const exec = promisify(execFile)

/** Milliseconds for a server to start; many times what it takes. */
const PATIENCE = 40_000
const PAUSE = 50

export interface DatabaseServer {
  readonly url: string
  /** Resolves when the server answers queries. */
  start (): Promise<void>
  /** Ends it at once, as a crash would. */
  kill (): Promise<void>
  /** Stops all of it in the middle of whatever it does, and lets it go on. */
  signal (name: 'SIGSTOP' | 'SIGCONT'): void
}

/** What differs between the two. */
interface Kind {
  readonly name: string
  /** The program, if it is there. */
  readonly program: () => string | undefined
  /** The user that the server runs as where the tests run as root, which servers refuse. */
  readonly user: string
  readonly initialise: (program: string, directory: string, options: SpawnOptions) => Promise<void>
  readonly arguments: (directory: string, port: number) => string[]
  readonly url: (port: number) => string
  readonly answers: (url: string) => Promise<void>
}

const postgres: Kind = {
  name: 'postgres',
  program: () => ['/usr/lib/postgresql', '/usr/local/pgsql']
    .flatMap(root => existsSync(root) ? readdirSync(root).map(version => join(root, version, 'bin/postgres')) : [])
    .concat(inPath('postgres'))
    .findLast(existsSync),
  user: 'postgres',
  async initialise (program, directory, options) {
    const args = ['-D', join(directory, 'data'), '-U', 'postgres', '--auth', 'trust', '--no-sync', '--no-locale', '--encoding', 'UTF8']
    await exec(join(dirname(program), 'initdb'), args, options)
  },
  arguments: (directory, port) => [
    '-D', join(directory, 'data'), '-p', String(port), '-c', 'listen_addresses=127.0.0.1', '-c', `unix_socket_directories=${directory}`
  ],
  url: port => `postgres://postgres@127.0.0.1:${port}/postgres`,
  async answers (url) {
    const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 1000 })
    try {
      await client.connect()
    } finally {
      await client.end()
    }
  }
}

const mariadb: Kind = {
  name: 'mariadbd',
  program: () => ['/usr/sbin/mariadbd', '/usr/local/sbin/mariadbd', ...inPath('mariadbd')].find(existsSync),
  user: 'mysql',
  async initialise (_program, directory, options) {
    const args = [
      '--no-defaults', `--datadir=${join(directory, 'data')}`, `--tmpdir=${directory}`,
      '--auth-root-authentication-method=normal', '--skip-test-db', '--skip-name-resolve'
    ]
    await exec('mariadb-install-db', args, options)
  },
  arguments: (directory, port) => [
    '--no-defaults', `--datadir=${join(directory, 'data')}`, `--tmpdir=${directory}`, `--socket=${join(directory, 'socket')}`,
    `--pid-file=${join(directory, 'pid')}`, `--port=${port}`, '--bind-address=127.0.0.1', '--innodb-buffer-pool-size=16M', '--skip-name-resolve'
  ],
  url: port => `mysql://root@127.0.0.1:${port}/mysql`,
  async answers (url) {
    const connection = await mysql.createConnection({ uri: url, connectTimeout: 1000 })
    await connection.end()
  }
}

const kinds = { postgres, mysql: mariadb }

export async function hasDatabaseServer (which: keyof typeof kinds): Promise<boolean> {
  return kinds[which].program() !== undefined
}

/** A server with an empty database, that has not been started yet, on a port that is free. */
export async function newDatabaseServer (t: Test, which: keyof typeof kinds): Promise<DatabaseServer> {
  const kind = kinds[which]
  const program = kind.program()
  if (program === undefined) throw new Error(`there is no ${kind.name}`)
  const directory = await mkdtemp(join(tmpdir(), `ambient-session-${kind.name}-`))
  const options: SpawnOptions = { cwd: directory, ...await owner(kind.user) }
  await mkdir(join(directory, 'data'), { mode: 0o700 })
  if (options.uid !== undefined && options.gid !== undefined) {
    for (const path of [directory, join(directory, 'data')]) await chown(path, options.uid, options.gid)
  }
  await kind.initialise(program, directory, options)
  const port = await freePort()
  const url = kind.url(port)
  let child: ChildProcess | undefined

  const pids = (): number[] => child?.pid === undefined || child.exitCode !== null || child.signalCode !== null ? [] : [child.pid, ...childrenOf(child.pid)]
  const kill = async (): Promise<void> => {
    const running = pids()
    // The children first: one that finds its parent gone would still say goodbye to its client.
    for (const pid of running.toReversed()) signalTo(pid, 'SIGKILL')
    if (running.length > 0 && child !== undefined && child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    child = undefined
  }
  t.teardown(async () => {
    await kill()
    await rm(directory, { recursive: true, force: true })
  })
  return {
    url,
    kill,
    signal (name) { for (const pid of pids()) signalTo(pid, name) },
    async start () {
      const deadline = Date.now() + PATIENCE
      for (;;) {
        if (pids().length === 0) child = spawn(program, kind.arguments(directory, port), { ...options, stdio: 'ignore' })
        try {
          return await kind.answers(url)
        } catch (cause) {
          if (Date.now() > deadline) throw new Error(`${kind.name} did not start`, { cause })
          await delay(PAUSE)
        }
      }
    }
  }
}

function inPath (program: string): string[] {
  return (process.env.PATH ?? '').split(':').map(directory => join(directory, program))
}

async function owner (user: string): Promise<{ uid?: number, gid?: number }> {
  if (process.getuid?.() !== 0) return {}
  const [uid, gid] = await Promise.all(['-u', '-g'].map(async option => Number((await exec('id', [option, user])).stdout)))
  return uid === undefined || gid === undefined ? {} : { uid, gid }
}

/** The processes that a process has started itself, and that still run. */
function childrenOf (parent: number): number[] {
  return readdirSync('/proc').filter(name => /^\d+$/.test(name)).map(Number).filter(pid => {
    try {
      // The parent stands second behind the name, which is in parentheses and may hold anything.
      const [, after = ''] = /^.*\) \S+ (\d+)/s.exec(readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? []
      return Number(after) === parent
    } catch {
      return false
    }
  })
}

function signalTo (pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch {
    // It has ended by itself.
  }
}
