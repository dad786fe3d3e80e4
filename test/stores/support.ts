import type { Test } from 'tap'
import { FileStore, type FileStoreOptions, type SessionStore } from '../../src/index.ts'
import type { FileLocks } from '../../src/stores/file/locks.ts'
import { casesFor } from './conformance.ts'

export interface Warning {
  readonly code: string
  readonly message: string
  readonly key?: string
}

export interface OpenFileStore {
  readonly store: FileStore
  readonly directory: string
  readonly warnings: Warning[]
}

/** An open file store, by default in a directory of its own. */
export async function fileStore (
  t: Test, { directory = t.testdir(), ...options }: Partial<FileStoreOptions> = {}, locks?: FileLocks
): Promise<OpenFileStore> {
  const warnings: Warning[] = []
  const store = new FileStore({ directory, report: warning => { warnings.push(warning) }, ...options }, locks)
  t.teardown(() => { store.close() })
  await store.open()
  return { store, directory, warnings }
}

/** Holds a store against the contract, each case with a store of its own. */
export async function conforms (t: Test, open: (t: Test) => Promise<SessionStore>): Promise<void> {
  for (const { name, run } of casesFor(await open(t))) {
    await t.test(name, async t => {
      await t.resolves(run(await open(t)))
    })
  }
}
