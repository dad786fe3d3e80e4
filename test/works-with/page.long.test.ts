/** docs/works-with.md names the versions that are installed, and nothing that has no test here. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'

const root = join(import.meta.dirname, '../..')
const page = readFileSync(join(root, 'docs/works-with.md'), 'utf8')
const [tried = '', refused = ''] = page.split('## What does not work')
const rows = [...tried.matchAll(/^\| `([^`]+)` \| (\S+) \|/gm)].map(([, name = '', version = '']) => ({ name, version }))

/** The file whose tests the row is about. */
function testOf (name: string): string {
  const short = { '@nestjs/platform-fastify': 'nestjs', '@trpc/server': 'trpc' }[name] ?? name.replace('@fastify/', '').replace('.', '-')
  return join(import.meta.dirname, `${short}.long.test.ts`)
}

t.ok(rows.length > 15)

for (const { name, version } of rows) {
  t.test(`${name} ${version} is installed and has tests`, async t => {
    const installed = JSON.parse(readFileSync(join(root, 'node_modules', name, 'package.json'), 'utf8')) as { version: string }
    t.equal(version, installed.version)
    t.ok(existsSync(testOf(name)))
  })
}

t.test('what does not work is said of plugins that were tried', async t => {
  const names = rows.map(({ name }) => name)
  const [table = ''] = refused.split('\n## ')
  const said = [...table.matchAll(/^\| (`.+?`) \| /gm)].flatMap(([, cell = '']) => [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name))
  t.ok(said.length > 8)
  t.same(said.filter(name => name === undefined || !names.includes(name)), [])
})
