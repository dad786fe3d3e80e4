/**
 * The server of examples/deploy in what a container consists of: process 1 of its own, a user who is not root, a file system
 * that is read-only but for a volume. The settings are those of the Dockerfile.
 */
import { spawnSync } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { unless } from '../concurrency/needs.ts'
import { deploy, type Deployed, directory, textOf } from './deployed.ts'

const NODE_USER = 1000

const instructions = textOf('Dockerfile').split('\n').map(line => line.split(/ (.*)/) as [name: string, rest: string])
const instruction = (name: string): string => instructions.find(([found]) => found === name)?.[1] ?? ''
const command = JSON.parse(instruction('CMD')) as string[]
const check = JSON.parse(instruction('HEALTHCHECK').replace(/^CMD /, '')) as string[]
const settings = Object.fromEntries(instruction('ENV').split(' ').map(setting => setting.split('=') as [string, string]))

/** Makes the volume the only place that can be written, and becomes the command as the user. */
const ENTER = `
set -e
mount --make-rprivate /
mount --bind "$VOLUME" "$VOLUME"
for place in / "$(findmnt -n -o TARGET -T "$PWD")" "$(findmnt -n -o TARGET -T /tmp)"; do mount -o remount,bind,ro "$place"; done
exec setpriv --reuid ${NODE_USER} --regid ${NODE_USER} --clear-groups --no-new-privs "$@"
`
const NAMESPACES = ['unshare', '--mount', '--pid', '--fork', '--kill-child=SIGKILL', '--mount-proc']
const canUnshare = spawnSync('unshare', [...NAMESPACES.slice(1), 'setpriv', '--no-new-privs', 'findmnt', '/proc']).status === 0

t.test('a container', { skip: unless(canUnshare, 'the right to make namespaces') }, async t => {
  const volume = mkdtempSync(join(tmpdir(), 'ambient-session-volume-'))
  const data = join(volume, 'data')
  chmodSync(volume, 0o755)
  mkdirSync(data, { mode: 0o700 })
  chownSync(data, NODE_USER, NODE_USER)
  t.teardown(() => { rmSync(volume, { recursive: true }) })

  const inside = (command: readonly string[]): string[] => [...NAMESPACES, 'sh', '-c', ENTER, 'sh', ...command]
  const start = async (t: Test): Promise<Deployed> => await deploy(t, inside(command), {
    ...settings, PORT: '0', VOLUME: data, SESSION_FILES: settings['SESSION_FILES']?.replace(instruction('VOLUME'), data) ?? ''
  }, child)

  await t.test('keeps its sessions in the volume, and nothing elsewhere', async t => {
    const server = await start(t)
    t.equal(server.pid, 1)
    const ada = server.visitor()
    t.equal((await ada.get('/')).text, 'visit number 1')
    t.equal(readdirSync(join(data, 'sessions')).filter(name => !name.startsWith('.')).length, 1)

    await t.test('and ends by SIGTERM, so that the next one goes on', async t => {
      t.equal(await server.stop(), 0)
      const next = await start(t)
      const again = next.visitor()
      t.equal((await again.get('/', { headers: { cookie: await ada.cookieHeader() } })).text, 'visit number 2')
    })
  })

  await t.test('shares the sessions of its volume with others, and no write is lost', async t => {
    const servers = [await start(t), await start(t)]
    const ada = (servers[0] as Deployed).visitor()
    await ada.get('/')
    const headers = { cookie: await ada.cookieHeader() }
    await Promise.all(Array.from({ length: 50 }, async (_, index) => await (servers[index % 2] as Deployed).visitor().get('/', { headers })))
    t.equal((await ada.get('/')).text, 'visit number 52')
  })

  await t.test('is healthy when its server answers, and not when it does not', async t => {
    const server = await start(t)
    const healthOf = (origin: string): number | null => {
      const [program = '', ...args] = check.map(word => word.replace('http://127.0.0.1:3000', origin))
      return spawnSync(program, args, { cwd: directory }).status
    }
    t.equal(healthOf(server.origin), 0)
    t.equal(healthOf(`${server.origin}/nothing`), 1)
    await server.stop()
    t.equal(healthOf(server.origin), 1)
  })
})

/** The process that `unshare` has forked. */
function child (pid: number): number {
  return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8'))
}
