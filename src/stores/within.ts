import { storeError } from './faults.ts'

/** Whether time is up. Nothing may be begun then. */
export type IsOver = () => boolean

/**
 * Waits for work, at most so many milliseconds. Late work learns by `isOver` that it must begin nothing more.
 *
 * @param late makes the error for when time is up
 */
export function within<T> (
  milliseconds: number, work: (isOver: IsOver) => Promise<T>,
  late: () => Error = () => storeError('late', `no answer within ${milliseconds} ms`)
): Promise<T> {
  return new Promise((resolve, reject) => {
    let isOver = false
    const timer = setTimeout(() => {
      isOver = true
      reject(late())
    }, milliseconds)
    work(() => isOver).finally(() => { clearTimeout(timer) }).then(resolve, reject)
  })
}
