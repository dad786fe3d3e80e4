/** The conformance suite: what makes an object a SessionStore that sessions can trust. */
export { testStore } from './testing/suite.ts'
export type { TestFunction, TestStoreOptions } from './testing/suite.ts'
/** Visitors of an application that is tested. */
export { visitor } from './testing/visitor.ts'
export type { ReadyBody, Visitor, VisitorOptions, VisitorRequest, VisitorResponse } from './testing/visitor.ts'
export type { VisitorSession } from './testing/visitor-session.ts'
export type { ExpectedErrors } from './testing/session-assertions.ts'
