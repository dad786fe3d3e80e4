/** Permissions that are taken away from under a running server, which is not root: nothing is forbidden to root. */
import { chmodSync, chownSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Load } from './load.ts'
import { isRoot } from './needs.ts'
import { act, dataOf, result, type Server, start } from './servers.ts'

const NOBODY = 65_534

async function restricted (t: Test): Promise<{ files: string, server: Server, again: () => Promise<Server> }> {
  // Where every user can come to.
  const files = mkdtempSync(join(tmpdir(), 'ambient-session-'))
  t.teardown(() => { rmSync(files, { recursive: true }) })
  if (isRoot) chownSync(files, NOBODY, NOBODY)
  const again = async (): Promise<Server> => await start(t, { files }, isRoot ? { uid: NOBODY, gid: NOBODY } : {})
  return { files, server: await again(), again }
}

for (const [what, mode] of Object.entries({ 'nothing is allowed in': 0o000, 'nothing can be made in': 0o500 })) {
  t.test(`a directory that ${what} any more: requests that need that get a 503, and succeed again when it is allowed`, async t => {
    const { files, server } = await restricted(t)
    const [ada, load] = [server.visitor(), await Load.begin(server)]
    await result(ada, ['put', 'name', 'ada'])
    chmodSync(files, mode)
    t.teardown(() => { chmodSync(files, 0o700) })

    const begun = await act(server.visitor(), ['put', 'name', 'eve'])
    t.match(begun.json, { statusCode: 503, code: 'ERR_SESSION_STORE' })
    t.same(begun.setCookies, [])
    const running = load.run([server])
    while (load.acknowledged + load.refusals.length < 100) await act(ada, ['pid'])
    t.same(load.refusals.filter(text => !text.includes('ERR_SESSION_STORE')), [])

    chmodSync(files, 0o700)
    await load.progresses(50)
    await running.stop()
    t.same(await load.faults(server), [])
    t.same(await dataOf(ada), { name: 'ada' })
    t.equal((await act(server.visitor(), ['put', 'name', 'eve'])).setCookies.length, 1)
  })
}

t.test('a session\'s file that may not be read any more fails that session\'s requests, and those of no other', async t => {
  const { files, server, again } = await restricted(t)
  const [ada, eve] = [server.visitor(), server.visitor()]
  const key = String(await result(ada, ['put', 'name', 'ada'], ['key']))
  await result(eve, ['put', 'name', 'eve'])
  await server.kill()
  const [file = ''] = readdirSync(files, { recursive: true, encoding: 'utf8' }).filter(name => name.includes(key))
  chmodSync(join(files, file), 0o000)

  const next = await again()
  const [ada2, eve2] = [ada.copy(next.origin), eve.copy(next.origin)]
  for (const step of [['all'], ['put', 'name', 'mallory'], ['invalidate']] as const) {
    const answer = await act(ada2.copy(), step)
    t.match(answer.json, { statusCode: 503, code: 'ERR_SESSION_STORE' }, step[0])
    t.same(answer.setCookies, [])
  }
  t.same(await dataOf(eve2), { name: 'eve' })
  await result(eve2, ['increment', 'count'])
  chmodSync(join(files, file), 0o600)
  t.same(await dataOf(ada2), { name: 'ada' })
  await result(ada2, ['increment', 'count'])
  t.same(await dataOf(ada2), { name: 'ada', count: 1 })
})
