import type { SessionConfig } from '../config/schema.ts'
import type { Report } from '../report.ts'
import { FileStore } from './file/store.ts'
import { MemoryStore } from './memory.ts'
import { nullStore } from './null.ts'
import type { SessionStore } from './store.ts'

/** @returns the store that the configuration asks for, not yet opened */
export function createStore ({ driver, files, durable, asyncReads }: SessionConfig, report: Report): SessionStore {
  switch (driver) {
    case 'file':
      return new FileStore({ directory: files, durable, asyncReads, report })
    case 'memory':
      return new MemoryStore()
    case 'null':
      return nullStore
    default:
      return driver
  }
}
