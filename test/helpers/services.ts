/**
 * Servers that a test needs and a machine may not have. Without them `npm test` passes and says what it has skipped;
 * with REQUIRE_SERVICES=1, as in CI, a service that is not there is a failure.
 *
 * @example
 * ```ts
 * t.test('the redis store keeps the contract', { skip: await skipWithout('redis on 127.0.0.1:6379', isThere) }, async t => { … })
 * ```
 */

/**
 * @param name what is needed, for the reader of the test's output
 * @param isThere finds out, within a bounded time; a rejection counts as no
 * @returns what tap's option `skip` takes: false, or why the test is skipped
 * @throws Error when the service is not there and the environment says REQUIRE_SERVICES=1
 */
export async function skipWithout (name: string, isThere: () => Promise<boolean>): Promise<false | string> {
  let cause: unknown
  const found = await isThere().catch((error: unknown) => {
    cause = error
    return false
  })
  if (found) return false
  if (process.env.REQUIRE_SERVICES === '1') throw new Error(`REQUIRE_SERVICES=1 and there is no ${name}`, { cause })
  return `there is no ${name} here`
}
