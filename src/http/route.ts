import { z } from 'zod'
import { blockSchema } from '../config/schema.ts'
import type { SessionConfig } from '../config/schema.ts'
import type { BlockOptions } from '../config/options.ts'
import { SessionConfigError } from '../errors.ts'

/** What a route says about its session, in `config.session`; `false` for none. */
export interface RouteSessionOptions {
  /** Hold the session exclusively for the request; `true` for the default times. */
  readonly block?: boolean | BlockOptions
  /** Read without ageing flash data or extending the expiry, and refuse changes. */
  readonly readonly?: boolean
}

export interface RouteRules {
  readonly enabled: boolean
  readonly readonly: boolean
  /** In seconds. */
  readonly block: SessionConfig['block']
}

const schema = z.strictObject({ block: blockSchema.optional(), readonly: z.boolean().default(false) })

/** Reads `config.session` of routes, checking each once. */
export class RouteRulesReader {
  readonly #defaults: RouteRules
  readonly #known = new WeakMap<object, RouteRules>()

  /** @param block the default for every route */
  constructor (block: SessionConfig['block']) {
    this.#defaults = { enabled: true, readonly: false, block }
  }

  /**
   * @param config a route's config
   * @throws SessionConfigError when what it says of its session makes no sense
   */
  of (config: { session?: false | RouteSessionOptions } | undefined): RouteRules {
    if (config?.session === undefined) return this.#defaults
    const known = this.#known.get(config) ?? this.#read(config.session)
    this.#known.set(config, known)
    return known
  }

  #read (wishes: unknown): RouteRules {
    if (wishes === false) return { enabled: false, readonly: false, block: false }
    const { data, error } = schema.safeParse(wishes)
    if (error === undefined) return { ...this.#defaults, readonly: data.readonly, ...data.block !== undefined && { block: data.block } }
    throw new SessionConfigError(error.issues.map(({ path, message }) => `${path.join('.') || 'session'}: ${message}`), "a route's config.session")
  }
}
