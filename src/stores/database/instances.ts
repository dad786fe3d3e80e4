/**
 * What an application may pass as its connection, recognised by these methods. Nothing is imported here, so that an application
 * that has only one of these packages, or none, compiles.
 */

/** A function of whatever parameters. */
type Method = (...parameters: never[]) => unknown

/** An instance of Kysely, of any database. */
export interface KyselyInstance {
  readonly getExecutor: Method
  readonly selectFrom: Method
}

export type Connection =
  /** A URL. */
  | string
  | KyselyInstance
  /** A `Pool` of the package `pg`. */
  | { readonly connect: Method, readonly totalCount: number }
  /** A pool of the package `mysql2`, or of `mysql2/promise`. */
  | { readonly getConnection: Method }
  /** A `Database` of the package `better-sqlite3`, or a `DatabaseSync` of `node:sqlite`. */
  | { readonly prepare: Method, readonly exec: Method }
