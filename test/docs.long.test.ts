/** Everything that README.md and docs/ show is run, and every value they state is compared with the real one. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import t from 'tap'
import { blocksOf, faultsIn, type Page } from './helpers/doc-blocks.ts'
import { publicNames, sessionMembers } from './helpers/doc-exports.ts'

const root = join(import.meta.dirname, '..')
const docs = readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
  .filter(name => name.endsWith('.md'))
  .map(name => join('docs', name))
const pages = ['README.md', 'CHANGELOG.md', 'CONTRIBUTING.md', ...docs.sort()].map((name): Page => ({ name, text: readFileSync(join(root, name), 'utf8') }))

t.test('every code block runs and gives what it states', async t => {
  const blocks = pages.flatMap(blocksOf)
  const faults = await faultsIn(blocks, { root, directory: t.testdir() })
  for (const block of blocks) {
    const problems = faults.filter(fault => fault.block === block).map(({ problem }) => problem)
    t.same(problems, [], `${block.page}:${block.line}`)
  }
})

t.test('every link within the repository leads somewhere', async t => {
  const anchors = new Map(pages.map(({ name, text }) => [name, anchorsOf(text)]))
  for (const { name, text } of pages) {
    for (const [, target = ''] of text.matchAll(/\]\((?!https?:)([^)\s]+)\)/g)) {
      const [path = '', anchor] = target.split('#')
      const file = path === '' ? name : relative(root, join(root, dirname(name), path))
      t.ok(existsSync(join(root, file)), `${name}: ${target}`)
      if (anchor !== undefined) t.ok(anchors.get(file)?.includes(anchor), `${name}: ${target}`)
    }
  }
})

t.test('the reference names every export of the package and every member of a session', async t => {
  const reference = pages.find(({ name }) => name === 'docs/api.md')?.text ?? ''
  const { values, types } = publicNames(root)
  const members = sessionMembers(root)
  t.ok(members.includes('get') && values.includes('session') && types.includes('SessionStore'))
  const missing = [...values, ...types, ...members].filter(name => !new RegExp(`(^|\`)(readonly )?${name}\\b`, 'm').test(reference))
  t.same(missing, [])
})

/** GitHub's anchors of headings. */
function anchorsOf (text: string): string[] {
  const headings = [...text.replace(/^ *```[^]*?^ *```/gm, '').matchAll(/^#+ (.+)$/gm)]
  return headings.map(([, heading = '']) => heading.toLowerCase().replace(/[^\w\- ]/g, '').replaceAll(' ', '-'))
}
