/** The unit of examples/deploy: whether systemd understands it, and what its server does that is started and ended so. */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { unless } from '../concurrency/needs.ts'
import { deploy, type Deployed, directory, textOf } from './deployed.ts'

const unit = textOf('shop.service')
const setting = (name: string): string => new RegExp(`^${name}=(.*)$`, 'm').exec(unit)?.[1] ?? ''
const hasSystemd = spawnSync('systemd-analyze', ['--version']).status === 0

t.test('systemd understands every line', { skip: unless(hasSystemd, 'systemd-analyze') }, async t => {
  const { status, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', join(directory, 'shop.service')], { encoding: 'utf8' })
  // The machine of a test need not have Node.js where the unit says.
  const complaints = stderr.split('\n').filter(line => line.includes('shop.service') && !line.includes('is not executable'))
  t.same(complaints, [])
  if (existsSync('/usr/bin/node')) t.equal(status, 0)
})

t.test('started as the unit says', async t => {
  const state = t.testdir()
  const [, ...args] = setting('ExecStart').split(' ')
  const env = Object.fromEntries(setting('Environment').replaceAll('%S', state).split(' ').map(one => one.split('=') as [string, string]))
  const start = async (t: Test): Promise<Deployed> => await deploy(t, [process.execPath, ...args], { ...env, PORT: '0' })

  const server = await start(t)
  const ada = server.visitor()
  await ada.get('/')
  t.ok(existsSync(join(state, setting('StateDirectory'), 'sessions')))

  await t.test('it ends by SIGTERM, in time and without a failure, and keeps its sessions', async t => {
    t.equal(await server.stop(), 0)
    const next = await start(t)
    t.equal((await next.visitor().get('/', { headers: { cookie: await ada.cookieHeader() } })).text, 'visit number 2')
  })
})
