/** What a program's comments say that it gives, made into calls that see whether it does. */
import ts from 'typescript'
import type { Line } from './doc-blocks.ts'

interface Edit {
  readonly at: number
  /** How many characters the text takes the place of. */
  readonly over?: number
  readonly text: string
}

interface Stated {
  readonly kind: '=>' | 'throws'
  readonly text: string
  /** Where the comment begins. */
  readonly at: number
  readonly line: number
}

type Statement = ts.ExpressionStatement | ts.VariableStatement | ts.ReturnStatement

const COMMENT = /\/\/ (=>|throws) (.+)$/

/**
 * @returns the lines with `// => value` and `// throws SomeError` in effect, and all ports set to 0
 * @throws Error when such a comment does not stand behind a statement
 */
export function withExpectations (lines: readonly Line[]): { lines: Line[], expectations: number[] } {
  const text = lines.map(({ text }) => text).join('\n')
  const source = ts.createSourceFile('block.ts', text, ts.ScriptTarget.Latest, true)
  const stated = statedIn(lines)
  const edits = [...stated.flatMap(one => editsFor(one, statementBefore(source, one))), ...freePorts(source)]
  const edited = applied(edits, text).split('\n')
  return {
    lines: lines.map(({ line }, index) => ({ text: edited[index] ?? '', line })),
    expectations: stated.map(({ line }) => line)
  }
}

function statedIn (lines: readonly Line[]): Stated[] {
  let offset = 0
  return lines.flatMap(({ text, line }) => {
    const start = offset
    offset += text.length + 1
    const found = COMMENT.exec(text)
    return found === null ? [] : [{ kind: found[1] as Stated['kind'], text: found[2] ?? '', at: start + found.index, line }]
  })
}

/** The innermost statement that ends right before the comment. */
function statementBefore (source: ts.SourceFile, { at, line }: Stated): Statement {
  let found: Statement | undefined
  const visit = (node: ts.Node): void => {
    if (node.getFullStart() > at) return
    if (isStatement(node) && endOf(node) <= at && source.text.slice(endOf(node), at).trim() === '') found = node
    ts.forEachChild(node, visit)
  }
  visit(source)
  if (found === undefined) throw new Error(`line ${line}: the comment states what something gives, but stands behind no statement`)
  return found
}

function isStatement (node: ts.Node): node is Statement {
  return ts.isExpressionStatement(node) || ts.isVariableStatement(node) || ts.isReturnStatement(node)
}

/** Without the semicolon, which in this style may stand on the next line. */
function endOf (statement: Statement): number {
  return (ts.isVariableStatement(statement) ? statement.declarationList : statement.expression ?? statement).getEnd()
}

function editsFor ({ kind, text, line }: Stated, statement: Statement): Edit[] {
  const [start, end] = [statement.getStart(), endOf(statement)]
  if (kind === 'throws') {
    return [{ at: start, text: `await docs.throws(${line}, async () => { ` }, { at: end, text: ` }, '${/^\w+/.exec(text)?.[0]}')` }]
  }
  if (ts.isVariableStatement(statement)) {
    const name = statement.declarationList.declarations.at(-1)?.name.getText()
    return [{ at: end, text: `; docs.expect(${line}, ${name}, (${text}))` }]
  }
  const expression = statement.expression?.getStart() ?? end
  return [{ at: expression, text: `docs.expect(${line}, ` }, { at: end, text: `, (${text}))` }]
}

/** Two pages that listen on the same port would be in each other's way. */
function freePorts (source: ts.SourceFile): Edit[] {
  const edits: Edit[] = []
  const visit = (node: ts.Node): void => {
    if (ts.isPropertyAssignment(node) && node.name.getText() === 'port' && ts.isNumericLiteral(node.initializer)) {
      edits.push({ at: node.initializer.getStart(), over: node.initializer.getWidth(), text: '0' })
    }
    ts.forEachChild(node, visit)
  }
  visit(source)
  return edits
}

function applied (edits: readonly Edit[], text: string): string {
  return edits.toSorted((a, b) => b.at - a.at)
    .reduce((edited, { at, over = 0, text }) => edited.slice(0, at) + text + edited.slice(at + over), text)
}
