import t from 'tap'
import { checkRouteOptions } from '../../src/config/route.ts'

const route = 'GET /poll'

t.test('the options of a route are completed', async t => {
  t.strictSame(checkRouteOptions({}, route), { readonly: false })
  t.strictSame(checkRouteOptions({ readonly: true }, route), { readonly: true })
  t.strictSame(checkRouteOptions({ block: true }, route), { readonly: false, block: { lock: 10, wait: 10 } })
  t.strictSame(checkRouteOptions({ csrf: false }, route), { readonly: false, csrf: false })
  t.strictSame(checkRouteOptions({ block: false, readonly: undefined }, route), { readonly: false, block: false })
})

const expected = 'expected false or an object such as { readonly: true } or { block: true }'

const faults: Array<[wishes: unknown, problems: string[]]> = [
  [{ readOnly: true }, ['readOnly: is not an option; did you mean readonly?']],
  [{ read_only: true }, ['read_only: is not an option; did you mean readonly?']],
  [{ blok: true }, ['blok: is not an option; did you mean block?']],
  [{ lock: 5 }, ['lock: is a part of block: write block: { lock: seconds }']],
  [{ wait: 5 }, ['wait: is a part of block: write block: { wait: seconds }']],
  [{ exclusive: true }, ['exclusive: is not an option; write block: true instead']],
  [{ blocking: true }, ['blocking: is not an option; write block: true instead']],
  [{ enabled: false }, ['enabled: is not an option; a route without a session has config: { session: false }']],
  [{ lifetime: 5 }, ['lifetime: is an option of the plugin, and the same for all routes']],
  [{ zebra: 5 }, ['zebra: is not an option']],
  [{ readonly: 'yes' }, ['readonly: expected true or false, got "yes"']],
  [{ flashValidation: 'yes' }, ['flashValidation: expected true or false, got "yes"']],
  [{ block: 'yes' }, ['block: expected true, false or { lock: seconds, wait: seconds }, got "yes"']],
  [{ block: { lock: 0 } }, ['block.lock: expected a number of seconds, 1 or more, got 0']],
  [{ block: { lok: 1, wait: 'long' } }, [
    'block.wait: expected a number of seconds, 0 or more, got "long"',
    'block.lok: is not an option; did you mean lock?'
  ]],
  [{ csrf: true }, ['csrf: expected false, got true; the option csrf of the plugin turns the check on']],
  [{ readOnly: true, block: { wait: -1 }, readonly: 1 }, [
    'readOnly: is not an option; did you mean readonly?',
    'block.wait: expected a number of seconds, 0 or more, got -1',
    'readonly: expected true or false, got 1'
  ]],
  [true, [`${expected}, got true`]],
  [null, [`${expected}, got null`]],
  ['readonly', [`${expected}, got "readonly"`]],
  [['readonly'], [`${expected}, got a list`]]
]

for (const [wishes, problems] of faults) {
  t.test(`a route is refused with its name and the reason: ${problems.join(' / ')}`, async t => {
    const error = t.throws(() => checkRouteOptions(wishes, route), { code: 'ERR_SESSION_CONFIG', problems })
    t.match(error, { message: /^config\.session of the route GET \/poll: / })
  })
}
