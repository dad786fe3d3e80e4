/** The type check of all programs, as an application with strict settings would do it. */
import { join } from 'node:path'
import ts from 'typescript'
import type { Fault } from './doc-blocks.ts'
import type { Program } from './doc-programs.ts'

/** Changes global types, and so is checked by itself. */
const AFFECTS_OTHERS = /^declare |'ambient-session\/global'/

export function typeFaults (programs: readonly Program[], root: string): Fault[] {
  const options: ts.CompilerOptions = {
    ...optionsOf(root), noEmit: true, noUnusedLocals: false, noUnusedParameters: false, noImplicitReturns: false
  }
  const host = rememberingHost(options)
  const alone = programs.filter(({ lines }) => lines.some(({ text }) => AFFECTS_OTHERS.test(text)))
  const together = programs.filter(program => !alone.includes(program))
  return [together, ...alone.map(program => [program])].flatMap(group => faultsIn(group, options, host))
}

function faultsIn (programs: readonly Program[], options: ts.CompilerOptions, host: ts.CompilerHost): Fault[] {
  const checked = ts.createProgram(programs.map(({ path }) => path), options, host)
  return programs.flatMap(({ block, path, lines }) => {
    const source = checked.getSourceFile(path)
    const diagnostics = [...checked.getSyntacticDiagnostics(source), ...checked.getSemanticDiagnostics(source)]
    return diagnostics.map(({ messageText, start = 0 }) => {
      const line = lines[source?.getLineAndCharacterOfPosition(start).line ?? 0]?.line ?? block.line
      return { block, problem: `line ${line}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}` }
    })
  })
}

function optionsOf (root: string): ts.CompilerOptions {
  const path = join(root, 'tsconfig.json')
  const { config } = ts.readConfigFile(path, file => ts.sys.readFile(file)) as { config: unknown }
  const { rootDir: _, ...options } = ts.parseJsonConfigFileContent(config, ts.sys, root).options
  return options
}

/** Reads and parses each file once, for however many programs. */
function rememberingHost (options: ts.CompilerOptions): ts.CompilerHost {
  const host = ts.createCompilerHost(options)
  const files = new Map<string, ts.SourceFile | undefined>()
  const read = host.getSourceFile.bind(host)
  host.getSourceFile = (name, ...rest) => {
    if (!files.has(name)) files.set(name, read(name, ...rest))
    return files.get(name)
  }
  return host
}
