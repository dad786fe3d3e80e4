/** A disk that is full, really: a small file system in memory, mounted by the test. */
import { spawnSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmSync, rmdirSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { Load } from './load.ts'
import { canMount, unless } from './needs.ts'
import { act, dataOf, result, start } from './servers.ts'

t.test('a full disk', { skip: unless(canMount(t.testdir()), 'the right to mount a file system') }, async t => {
  const disk = mkdtempSync(join(tmpdir(), 'ambient-session-disk-'))
  spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=512k', 'tmpfs', disk])
  t.teardown(() => {
    // Now, although the server may still have files open.
    spawnSync('umount', ['-l', disk])
    rmdirSync(disk)
  })
  const server = await start(t, { files: join(disk, 'sessions') })
  const [ada, eve, load] = [server.visitor(), server.visitor(), await Load.begin(server)]
  await result(ada, ['put', 'name', 'ada'])
  await result(eve, ['put', 'name', 'eve'])
  const thief = eve.copy()
  const filler = join(disk, 'filler')
  fill(filler)

  await t.test('fails the request that needs room, and says so', async t => {
    t.match((await act(ada, ['put', 'large', 'x'.repeat(50_000)])).json, { statusCode: 503, code: 'ERR_SESSION_STORE' })
  })

  await t.test('fails the request that begins a session, which gets no cookie', async t => {
    const answer = await act(server.visitor(), ['put', 'large', 'x'.repeat(50_000)])
    t.match(answer.json, { statusCode: 503, code: 'ERR_SESSION_STORE' })
    t.same(answer.setCookies, [])
  })

  await t.test('does not fail those that read', async t => {
    t.same(await dataOf(ada), { name: 'ada' })
  })

  await t.test('does not prevent signing out', async t => {
    t.equal((await act(eve, ['invalidate'])).status, 200)
    t.same(await dataOf(thief), {})
  })

  await t.test('loses nothing that was acknowledged while it was full', async t => {
    const running = load.run([server])
    while (load.acknowledged + load.refusals.length < 200) await result(ada, ['all'])
    await running.stop()
    t.same(await load.faults(server), [])
    t.same(load.refusals.filter(text => !text.includes('ERR_SESSION_STORE')), [])
  })

  await t.test('is forgotten as soon as there is room again', async t => {
    rmSync(filler)
    t.equal((await act(ada, ['put', 'large', 'x'.repeat(50_000)])).status, 200)
    t.equal((await act(server.visitor(), ['put', 'new', true])).setCookies.length, 1)
    const running = load.run([server])
    await load.progresses(100)
    await running.stop()
    t.same(await load.faults(server), [])
    t.match(await dataOf(ada), { name: 'ada', large: /^x{50000}$/ })
    t.same(await dataOf(thief), {}, 'and who had signed out stays out')
  })
})

/** Writes until nothing fits any more. */
function fill (path: string): void {
  const file = openSync(path, 'w')
  try {
    for (;;) writeSync(file, Buffer.alloc(4096))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
  } finally {
    closeSync(file)
  }
}
