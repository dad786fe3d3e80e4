/** Functions of node:fs that do something else for a while: what a file system, another process or a full disk may do. */
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { basename } from 'node:path'
import type { Test } from 'tap'

/** The functions that tests put others in the place of, as the store calls them. */
interface FsFunctions {
  openSync: (path: string, flags: number | string, mode?: number) => number
  closeSync: (file: number) => void
  readSync: (file: number, buffer: Buffer, offset: number, length: number, position: number) => number
  readFileSync: (path: string, encoding: BufferEncoding) => string
  fsyncSync: (file: number) => void
  fdatasync: (file: number, callback: (error: Error | null) => void) => void
  fdatasyncSync: (file: number) => void
  readlinkSync: (path: string) => string
  linkSync: (existing: string, path: string) => void
  rmSync: (path: string, options?: object) => void
  lstatSync: (path: string, options?: object) => fs.Stats | undefined
  statSync: (path: string, options?: object) => fs.Stats | undefined
  writeSync: (file: number, buffer: Buffer, offset: number, length: number, position: number) => number
}

/** Replaces a function of node:fs, for the whole process, until the test has ended. */
export function replaceInFs<Name extends keyof FsFunctions> (
  t: Test, name: Name, replacement: (original: FsFunctions[Name]) => FsFunctions[Name]
): void {
  const functions = fs as unknown as FsFunctions
  const original = functions[name]
  functions[name] = replacement(original)
  syncBuiltinESMExports()
  t.teardown(() => {
    functions[name] = original
    syncBuiltinESMExports()
  })
}

/** An error of the file system. */
export function fault (code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: a fault`), { code })
}

/** Does something right before the next session's file is opened, as another process might. */
export function beforeOpening (t: Test, act: () => void): void {
  let isDue = true
  replaceInFs(t, 'openSync', original => (path, flags, mode) => {
    if (isDue && typeof flags === 'number' && !basename(path).startsWith('.')) {
      isDue = false
      act()
    }
    return original(path, flags, mode)
  })
}

/** Makes the next file that is opened fail with each of these codes. */
export function failToOpen (t: Test, ...codes: string[]): void {
  replaceInFs(t, 'openSync', original => (path, flags, mode) => {
    const code = typeof flags === 'number' ? codes.shift() : undefined
    if (code !== undefined) throw fault(code)
    return original(path, flags, mode)
  })
}

/** Makes the next write fail as on a disk without room. */
export function failToWriteOnce (t: Test): void {
  let isDue = true
  replaceInFs(t, 'writeSync', original => (...args) => {
    if (!isDue) return original(...args)
    isDue = false
    throw fault('ENOSPC')
  })
}
