/**
 * The `ts` blocks of pages, made into programs.
 *
 * A block is a whole program, unless the comment in front of it says what it is a fragment of:
 *
 * - `in an app`: `app` is a Fastify application that has registered the plugin, with the memory store.
 * - `in a bare app`: `app` is one that has not; the block registers the plugin, because its options matter.
 * - `in a handler`: `req` and `reply` are those of a request. A comment `// in the next request` ends it, and begins
 *   another request of the same visitor.
 * - `members of Session` (or of any public type, or of the package): members it has to have, with these types.
 * - `thrown by:` the block is the text of the error that the code on the next lines of the comment throws.
 *
 * Fragments see all that the package exports. More lines of the comment say more: `options: { … }` of the plugin,
 * `given: { … }` what an earlier request put into the session, `then:` code to run after the block, on the lines below.
 * That code, too, may state what things give; it has `visitor(app)` and `warned()` of doc-runtime.ts at hand.
 */
import { join, relative } from 'node:path'
import type { Block, Line, Place } from './doc-blocks.ts'
import { withExpectations } from './doc-expectations.ts'
import { publicNames } from './doc-exports.ts'

export interface Program {
  readonly block: Block
  readonly path: string
  readonly lines: readonly Line[]
  /** Lines of the page that state what something gives. */
  readonly expectations: readonly number[]
}

interface Directive {
  readonly place: string
  readonly options: string
  readonly given: string | undefined
  readonly then: readonly Line[]
}

const NEW_APP = 'const app = Fastify()'
const RUNTIME = 'test/helpers/doc-runtime.ts'
const NEXT_REQUEST = /^\s*\/\/ .*\bnext request\b/i
const NEXT_HANDLER = '}, async (req, reply) => {'

/** @throws Error when the comment in front of the block, or an expectation in it, makes no sense */
export function programOf (block: Block, { root, directory }: Place): Program {
  const runtime = relative(directory, join(root, RUNTIME))
  const { lines, expectations } = withExpectations([
    { text: `import { docs, ${importsVisitor(block) ? '' : 'visitor, '}warned } from '${runtime}'`, line: block.line },
    ...wrapped(block, directiveOf(block), root)
  ])
  return { block, path: join(directory, `${block.page.replaceAll('/', '-')}-${block.line}.ts`), lines, expectations }
}

/** Whether the block has a visitor of its own, as tests of applications have. */
function importsVisitor ({ code }: Block): boolean {
  return code.some(line => /^import .*\bvisitor\b/.test(line))
}

function directiveOf ({ comment: [first, ...rest] }: Block): Directive {
  const startsWithThen = first?.text.trim() === 'then:'
  const place = first === undefined || startsWithThen ? 'a program' : first.text.trim()
  if (place === 'thrown by:') return { place, options: '{}', given: undefined, then: rest }
  const details = startsWithThen ? [first, ...rest] : rest
  const then = details.findIndex(({ text }) => text.trim() === 'then:')
  const settings = details.slice(0, then === -1 ? undefined : then).map(({ text }) => text.trim())
  const unknown = settings.find(setting => !/^(options|given): /.test(setting))
  if (unknown !== undefined) throw new Error(`the comment in front of the block has an unknown line: ${unknown}`)
  const setting = (name: string): string | undefined => settings.find(text => text.startsWith(`${name}: `))?.slice(name.length + 2)
  return { place, options: setting('options') ?? '{}', given: setting('given'), then: then === -1 ? [] : details.slice(then + 1) }
}

function wrapped ({ code, line }: Block, { place, options, given, then }: Directive, root: string): Line[] {
  const body = code.map((text, index) => ({ text, line: line + 1 + index }))
  const around = (before: string[], inside: readonly Line[], after: string[]): Line[] => [
    ...before.map(text => ({ text, line })), ...inside, ...after.map(text => ({ text, line })), { text: 'export {};', line }, ...then
  ]
  const [kind, owner] = place.split(' of ')
  const type = owner === 'the package' ? "typeof import('ambient-session')" : owner
  switch (kind) {
    case 'a program':
      return around([], body, [])
    case 'in an app':
      return around([...publicImports(root), ...newApp(options)], body, [])
    case 'in a bare app':
      return around([...publicImports(root), NEW_APP], body, [])
    case 'in a handler': {
      const handlers = body.map(({ text, line }) => ({ text: NEXT_REQUEST.test(text) ? NEXT_HANDLER : text, line }))
      const before = given === undefined ? [] : [`async () => { session(${given}) },`]
      return around([...publicImports(root), ...newApp(options), 'await docs.visit(app, [', ...before, 'async (req, reply) => {'], handlers, ['}])'])
    }
    case 'thrown by:':
      return [
        ...[...publicImports(root), 'await docs.throwsText(async () => {'].map(text => ({ text, line })), ...then,
        { text: `}, ${JSON.stringify(code.join('\n'))})`, line }
      ]
    case 'members':
      return around([...publicImports(root), 'interface Documented {'], body, ['}', `export const documented = (actual: ${type}): Documented => actual`])
    default:
      throw new Error(`the comment in front of the block has an unknown line: ${place}`)
  }
}

function publicImports (root: string): string[] {
  const { values, types } = publicNames(root)
  return [
    "import Fastify from 'fastify'",
    "import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'",
    `import { ${values.join(', ')} } from 'ambient-session'`,
    `import type { ${types.join(', ')} } from 'ambient-session'`
  ]
}

function newApp (options: string): string[] {
  return [NEW_APP, `await app.register(ambientSession, { driver: 'memory', ...${options} })`]
}
