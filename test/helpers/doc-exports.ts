/** What the package exports, by name. */
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import ts from 'typescript'

export interface PublicNames {
  readonly values: readonly string[]
  readonly types: readonly string[]
}

/** @throws Error when the package has not been built */
export function publicNames (root: string): PublicNames {
  const values: string[] = []
  const types: string[] = []
  collect(join(root, 'dist/index.d.ts'), values, types)
  return { values: values.filter(name => name !== 'default'), types }
}

/** @returns the names of the members of a session that are public */
export function sessionMembers (root: string): string[] {
  const declaration = declarationsIn(join(root, 'dist/session/session.d.ts')).statements.find(ts.isClassDeclaration)
  const named = (declaration?.members ?? []).flatMap(({ name }) => name !== undefined && ts.isIdentifier(name) ? [name.text] : [])
  return [...new Set(named)]
}

function declarationsIn (file: string): ts.SourceFile {
  return ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.Latest, true)
}

function collect (file: string, values: string[], types: string[]): void {
  for (const statement of declarationsIn(file).statements) {
    if (ts.isExportDeclaration(statement)) collectExport(file, statement, values, types)
    else if (ts.isClassDeclaration(statement) && isExported(statement)) values.push(statement.name?.text ?? '')
  }
}

function collectExport (file: string, { exportClause, isTypeOnly, moduleSpecifier }: ts.ExportDeclaration, values: string[], types: string[]): void {
  if (exportClause !== undefined && ts.isNamedExports(exportClause)) {
    for (const { name, isTypeOnly: isType } of exportClause.elements) (isTypeOnly || isType ? types : values).push(name.text)
  } else if (moduleSpecifier !== undefined && ts.isStringLiteral(moduleSpecifier)) {
    collect(join(dirname(file), moduleSpecifier.text.replace(/\.[jt]s$/, '.d.ts')), values, types)
  }
}

function isExported (statement: ts.ClassDeclaration): boolean {
  return statement.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword) === true
}
