/** This process's wall clock, which tests advance. The monotonic clock and timers are not changed. */
const now = Date.now.bind(Date)
let offset = 0

/** Has to run before anything keeps a reference to the real clock. */
export function installClock (): void {
  Date.now = () => now() + offset
  globalThis.Date = new Proxy(Date, {
    construct: (target, args, newTarget) => Reflect.construct(target, args.length === 0 ? [now() + offset] : args, newTarget) as object
  })
}

/** @param seconds forward, or back when negative */
export function advanceClock (seconds: number): void {
  offset += seconds * 1000
}
