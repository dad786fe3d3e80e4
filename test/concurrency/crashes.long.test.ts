/**
 * Processes that are killed while they write. The environment's CRASHES is how often; by default so often as fits well into
 * a minute.
 */
import t from 'tap'
import { FileStore, type StoreKey } from '../../src/index.ts'
import type { Visitor } from '../helpers/client.ts'
import { Load, type Running } from './load.ts'
import { dataOf, result, type Server, start } from './servers.ts'

const CRASHES = Number(process.env['CRASHES'] ?? 3)

t.setTimeout(900_000 + CRASHES * 30_000)

/** A visitor who signs in and out again and again, and what has to be true of them. */
class Regular {
  readonly #visitor: Visitor
  /** Cookies of sessions whose end was acknowledged. */
  readonly #ended: Visitor[] = []
  /** The state acknowledged last, as long as no other one has been asked for since. */
  #known: 'in' | 'out' | undefined = 'out'

  constructor (server: Server) {
    this.#visitor = server.visitor()
  }

  run (): Running {
    const over = new AbortController()
    const running = (async () => { while (!over.signal.aborted && await this.#comesAndGoes()); })()
    return {
      async stop () {
        over.abort()
        await running
      }
    }
  }

  async faults (server: Server): Promise<string[]> {
    const { user } = await dataOf(this.#visitor.copy(server.origin))
    const ended = await Promise.all(this.#ended.map(async visitor => Object.keys(await dataOf(visitor.copy(server.origin))).length))
    return [
      ...this.#known === 'in' && user !== 'ada' ? ['a visitor who has signed in is not known any more'] : [],
      ...this.#known === 'out' && user !== undefined ? ['a visitor who has signed out is still known'] : [],
      ...ended.some(keys => keys > 0) ? ['a session that was ended has come back'] : []
    ]
  }

  /** @returns whether the server is still there */
  async #comesAndGoes (): Promise<boolean> {
    const visitor = this.#visitor
    try {
      await result(visitor, ['put', 'page', 'login'])
      const before = visitor.copy()
      this.#known = undefined
      await result(visitor, ['regenerate'], ['put', 'user', 'ada'])
      this.#known = 'in'
      this.#ended.push(before)
      const inside = visitor.copy()
      this.#known = undefined
      await result(visitor, ['invalidate'])
      this.#known = 'out'
      this.#ended.push(inside)
      return true
    } catch {
      return false
    }
  }
}

for (const locks of [undefined, 'lockfile'] as const) {
  const which = locks === undefined ? '' : ', without locks of the operating system,'

  t.test(`a server that is killed under load${which === '' ? ',' : which} ${CRASHES} times, has lost nothing that it has acknowledged, and starts again`, async t => {
    const files = t.testdir()
    const loads: Load[] = []
    const keys: string[] = []
    let server = await start(t, { files }, { locks })

    for (let crash = 1; crash <= CRASHES; crash++) {
      const [one, other] = [await Load.begin(server), await Load.begin(server)]
      const regular = new Regular(server)
      loads.push(one, other)
      for (const { visitor } of [one, other]) keys.push(String(await result(visitor, ['key'])))
      const running = [one.run([server]), other.run([server]), regular.run()]
      await one.progresses(20 + Math.floor(Math.random() * 100))
      await server.kill()
      await Promise.all(running.map(async each => { await each.stop() }))

      server = await start(t, { files }, { locks })
      await result(server.visitor(), ['put', 'first', true])
      t.same([...await one.faults(server), ...await other.faults(server), ...await regular.faults(server)], [], `crash ${crash}`)
    }

    t.same((await Promise.all(loads.map(async load => await load.faults(server)))).flat(), [], 'what earlier crashes left is still there')

    const damages: string[] = []
    const store = new FileStore({ directory: files, report: ({ message }) => { damages.push(message) } })
    t.teardown(() => { store.close() })
    for (const key of keys) t.match(await store.read(key as StoreKey), { payload: String }, 'every session is read')
    t.same(damages, [], 'and none is damaged')
  })

  t.test(`while one server is killed and started again and again${which === '' ? ',' : which} another one on the directory refuses nothing`, async t => {
    const files = t.testdir()
    const survivor = await start(t, { files }, { locks })
    const load = await Load.begin(survivor)
    for (let crash = 1; crash <= Math.ceil(CRASHES / 2); crash++) {
      const victim = await start(t, { files }, { locks })
      const running = load.run([survivor, victim])
      await load.progresses(100)
      await victim.kill()
      await load.progresses(50)
      await running.stop()
      t.same(await load.faults(survivor), [], `crash ${crash}`)
    }
    t.same(load.refusals, [])
  })
}
