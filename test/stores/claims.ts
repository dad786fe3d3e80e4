/** Locks as other processes leave them: files that say who holds them. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Test } from 'tap'
import type { FileStore } from '../../src/index.ts'
import { fastClock, until } from './clock.ts'
import { create, newKey } from './conformance.ts'

export interface Claim {
  readonly pid: number
  readonly startedAt?: string
  readonly place: string
}

/** What the locks of a store say, which is open on the directory as the only one. */
export async function claimOf (store: FileStore, directory: string): Promise<Claim> {
  const unlock = await store.lock(newKey(), { lease: 60_000, wait: 0 })
  const [owner = ''] = readdirSync(directory).filter(name => name.startsWith('.owner-'))
  const claim = JSON.parse(readFileSync(join(directory, owner), 'utf8')) as Claim
  await unlock()
  return claim
}

/** A lock whose holder gives no sign of life is left alone for ten seconds, and not for longer. */
export async function isTakenOverAfterSilence (t: Test, store: FileStore, lock: string): Promise<void> {
  const clock = fastClock(t)
  const waiting = create(store)
  await until(() => clock.looks > 10)
  t.ok(existsSync(lock))
  clock.jump(10_001)
  await waiting
}

/** @returns the number of a process that has ended */
export function endedProcess (): number {
  return spawnSync(process.execPath, ['--version']).pid
}

/** @returns a process that has ended, and whose parent does not look: a zombie */
export async function zombie (t: Test): Promise<{ pid: number, startedAt: string }> {
  const parent = spawn('sh', ['-c', 'sleep 0.5 & echo $!; exec sleep 60'], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => parent.kill('SIGKILL'))
  const [line] = await once(createInterface(parent.stdout), 'line') as [string]
  for (;;) {
    const [state, ...fields] = readFileSync(`/proc/${line}/stat`, 'latin1').replace(/^.*\) /s, '').split(' ')
    const name = readFileSync(`/proc/${parent.pid}/comm`, 'latin1').trim()
    if (state === 'Z' && name === 'sleep') return { pid: Number(line), startedAt: String(fields[18]) }
    await nextTurn()
  }
}
