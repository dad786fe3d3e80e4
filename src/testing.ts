/** The conformance suite: what makes an object a SessionStore that sessions can trust. */
export { type TestFunction, testStore, type TestStoreOptions } from './testing/suite.ts'
/** Visitors of an application that is tested. */
export { type ReadyBody, visitor, type Visitor, type VisitorOptions, type VisitorRequest, type VisitorResponse } from './testing/visitor.ts'
export type { VisitorSession } from './testing/visitor-session.ts'
export type { ExpectedErrors } from './testing/session-assertions.ts'
