import type { MaybePromise } from '../stores/store.ts'

/** Goes on with a value at once where it is there already, and otherwise when it has come. */
export function andThen<T, R> (value: MaybePromise<T>, next: (value: T) => MaybePromise<R>): MaybePromise<R> {
  return isPromise(value) ? Promise.resolve(value).then(next) : next(value)
}

/** Whether a value is a promise, of whatever library: queries of databases often are their own kind. */
export function isPromise<T> (value: MaybePromise<T>): value is Promise<T> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function'
}
