/**
 * Runs the code blocks of Markdown pages. A block that nothing runs is a fault, and so is a value that a page states
 * and the code does not give.
 *
 * - `ts`: a whole program, unless a comment in front of the block says where the fragment lives; see doc-programs.ts.
 *   All are type-checked. A comment behind a statement says what it gives, `// => value` or `// throws SomeError`.
 * - `sh`: commands of Node.js and of this package, which are run, or npm's, which are checked; see doc-commands.ts.
 * - `json`: is parsed.
 * - any other: a file, which the comment in front of the block names, `the file examples/deploy/Dockerfile`, and which has a test of its own.
 * - `text`: what the program in a comment in front of it throws; without one a tree of files, which have to be there.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { faultsInCommands } from './doc-commands.ts'
import { faultsInPrograms } from './doc-run.ts'

export interface Page {
  /** The page's path from the root of the repository. */
  readonly name: string
  readonly text: string
}

export interface Line {
  readonly text: string
  /** Where it stands in the page; counted from 1, as editors do. */
  readonly line: number
}

export interface Block {
  readonly page: string
  /** Line of the page on which the block's fence stands. */
  readonly line: number
  readonly language: string
  readonly code: readonly string[]
  /** The lines of the comment in front of the block, if there is one. */
  readonly comment: readonly Line[]
}

export interface Fault {
  readonly block: Block
  readonly problem: string
}

export interface Place {
  /** Of the repository. */
  readonly root: string
  /** A directory below it, for programs and what they leave behind. */
  readonly directory: string
}

/** The comment in front of a block that is a file of the repository. */
const FILE = /^\s*the file (\S+)\s*$/

/** @throws Error when a block is not closed */
export function blocksOf ({ name, text }: Page): Block[] {
  const lines = text.split('\n')
  const blocks: Block[] = []
  for (let index = 0; index < lines.length; index++) {
    const fence = /^( *)(```+)(.*)$/.exec(lines[index] ?? '')
    if (fence === null) continue
    const [, indent = '', ticks = '', language = ''] = fence
    const end = lines.findIndex((line, at) => at > index && line.trim() === ticks)
    if (end === -1) throw new Error(`${name}:${index + 1}: the block is not closed`)
    blocks.push({
      page: name,
      line: index + 1,
      language: language.trim(),
      code: lines.slice(index + 1, end).map(line => line.slice(indent.length)),
      comment: commentBefore(lines, index)
    })
    index = end
  }
  return blocks
}

/** Type-checks, runs or parses each block, according to its language. */
export async function faultsIn (blocks: readonly Block[], place: Place): Promise<Fault[]> {
  const programs = blocks.filter(isProgram)
  const others = blocks.filter(block => !isProgram(block))
  const faults = await Promise.all([
    faultsInPrograms(programs, place),
    ...others.map(async block => (await problemsIn(block, place)).map(problem => ({ block, problem })))
  ])
  return faults.flat()
}

function isProgram ({ language, comment }: Block): boolean {
  return language === 'ts' || (language === 'text' && comment.length > 0)
}

async function problemsIn ({ language, code, comment }: Block, place: Place): Promise<string[]> {
  const file = FILE.exec(comment[0]?.text ?? '')?.[1]
  if (file !== undefined) return differencesFrom(file, code, place)
  switch (language) {
    case 'sh':
      return await faultsInCommands(code, place)
    case 'json':
      return problemInJson(code.join('\n'))
    case 'text':
      return code[0]?.endsWith('/') === true ? missingIn(code, place) : ['a text that is not a tree of files: nothing checks it']
    default:
      return [`nothing runs a block of the language '${language}'`]
  }
}

function problemInJson (text: string): string[] {
  try {
    JSON.parse(text)
    return []
  } catch (error) {
    return [(error as Error).message]
  }
}

function differencesFrom (file: string, code: readonly string[], { root }: Place): string[] {
  const path = join(root, file)
  if (!existsSync(path)) return [`there is no ${file}`]
  return readFileSync(path, 'utf8') === `${code.join('\n')}\n` ? [] : [`the block is not what is in ${file}`]
}

/** @param tree the root's name, and below it, two spaces deeper for each level, names of files and of directories */
function missingIn (tree: readonly string[], { root }: Place): string[] {
  const problems: string[] = []
  const path: string[] = []
  for (const line of tree) {
    const [, indent = '', name = ''] = /^( *)(\S*)/.exec(line) ?? []
    if (name === '') continue
    path.splice(indent.length / 2, Infinity, name)
    if (!existsSync(join(root, ...path))) problems.push(`there is no ${path.join('')}`)
  }
  return problems
}

function commentBefore (lines: readonly string[], fence: number): Line[] {
  let end = fence - 1
  while (lines[end]?.trim() === '') end--
  if (lines[end]?.trimEnd().endsWith('-->') !== true) return []
  const start = lines.findLastIndex((line, at) => at <= end && line.trimStart().startsWith('<!--'))
  return lines.slice(start, end + 1)
    .map((text, at) => ({ text: text.replace(/^\s*<!--|-->\s*$/g, '').trimEnd(), line: start + at + 1 }))
    .filter(({ text }) => text !== '')
}
