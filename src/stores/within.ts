import { storeError } from './faults.ts'

/** Whether time is up. Nothing may be begun then. */
export type IsTimeUp = () => boolean

/**
 * Waits for work, at most so many milliseconds. Late work learns by `isTimeUp` that it must begin nothing more.
 *
 * @param late makes the error for when time is up
 */
export function within<T> (
  milliseconds: number, work: (isTimeUp: IsTimeUp) => Promise<T>,
  late: () => Error = () => storeError('late', `no answer within ${milliseconds} ms`)
): Promise<T> {
  return new Promise((resolve, reject) => {
    let isTimeUp = false
    const timer = setTimeout(() => {
      isTimeUp = true
      reject(late())
    }, milliseconds)
    work(() => isTimeUp).finally(() => { clearTimeout(timer) }).then(resolve, reject)
  })
}
