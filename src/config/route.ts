/** `config.session` of a route. */
import { z } from 'zod'
import { SessionConfigError } from '../errors.ts'
import { show } from './describe.ts'
import { notAnOption } from './nearest.ts'
import type { BlockOptions } from './options.ts'
import { blockSchema, flag, optionNames } from './schema.ts'

/** What a route says about its session, in `config.session`; `false` for none. */
export interface RouteSessionOptions {
  /** Hold the session exclusively for the request; `true` for the default times. */
  readonly block?: boolean | BlockOptions
  /** Read without ageing flash data or extending the expiry, and refuse changes. */
  readonly readonly?: boolean
  /** `false`: requests are not checked for forgery, although the option `csrf` is on. For webhooks, and where the handler does it. */
  readonly csrf?: false
  /** Send the visitor back to the form when what it sent fails the route's schema. */
  readonly flashValidation?: boolean
}

const schema = z.object({
  block: blockSchema.optional(),
  readonly: flag.default(false),
  csrf: z.literal(false, { error: ({ input }) => `expected false, got ${show(input)}; the option csrf of the plugin turns the check on` }).optional(),
  flashValidation: flag.optional()
})

/** The options of a route, checked. What is missing the route leaves to the plugin's options. */
export type CheckedRouteOptions = z.output<typeof schema>

const NAMES = Object.keys(schema.shape)

/** Other words for what a route can say. */
const ADVICE = new Map([
  ['lock', 'is a part of block: write block: { lock: seconds }'],
  ['wait', 'is a part of block: write block: { wait: seconds }'],
  ['blocking', 'is not an option; write block: true instead'],
  ['exclusive', 'is not an option; write block: true instead'],
  ['enabled', 'is not an option; a route without a session has config: { session: false }']
])

/**
 * @param wishes the value of `config.session`, if it is not `false`
 * @param route the route's method and URL, for the error: `GET /poll`
 * @throws SessionConfigError with all problems at once
 */
export function checkRouteOptions (wishes: unknown, route: string): CheckedRouteOptions {
  const source = `config.session of the route ${route}`
  if (typeof wishes !== 'object' || wishes === null || Array.isArray(wishes)) {
    throw new SessionConfigError([`expected false or an object such as { readonly: true } or { block: true }, got ${show(wishes)}`], source)
  }
  const unknown = Object.keys(wishes).filter(name => !NAMES.includes(name)).map(name => `${name}: ${unknownName(name)}`)
  const { data, error } = schema.safeParse(wishes)
  const wrong = error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}`) ?? []
  if (data === undefined || unknown.length > 0) throw new SessionConfigError([...unknown, ...wrong], source)
  return data
}

function unknownName (name: string): string {
  const isOfPlugin = (optionNames as string[]).includes(name)
  return ADVICE.get(name) ?? (isOfPlugin ? 'is an option of the plugin, and the same for all routes' : notAnOption(name, NAMES))
}
