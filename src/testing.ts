/** The conformance suite: what makes an object a SessionStore that sessions can trust. */
export { testStore } from './testing/suite.ts'
export type { TestFunction, TestStoreOptions } from './testing/suite.ts'
