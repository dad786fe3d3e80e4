/**
 * What a promise comes to, if it does in time.
 *
 * @param deadline by performance.now()
 * @param late makes the error for when it does not
 */
export function within<T> (deadline: number, promise: Promise<T>, late: () => Error): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => { reject(late()) }, deadline - performance.now())
    promise.then(resolve, reject).finally(() => { clearTimeout(timer) })
  })
}
