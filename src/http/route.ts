/** What a route says of its session (`config.session`), as rules for its requests. */
import type { FastifyRequest, RouteOptions } from 'fastify'
import { checkRouteOptions, type RouteSessionOptions } from '../config/route.ts'
import type { SessionConfig } from '../config/options.ts'
import { canAnswerWithin, isWithinPath } from './cookie-path.ts'

export interface RouteRules {
  readonly enabled: boolean
  /** Why not, as the message of an error. */
  readonly reason: string
  readonly readonly: boolean
  /** In seconds. */
  readonly block: SessionConfig['block']
  /** Whether requests are checked for forgery, where the plugin checks at all. */
  readonly csrf: boolean
  /** Whether a form that fails the route's schema goes back to its page. */
  readonly flashValidation: boolean
}

interface RouteConfig {
  readonly session?: false | RouteSessionOptions
}

const NO_SESSION = 'this route has no session: it says `session: false` in its config. Take that off to use one here'

/**
 * Reads `config.session` of routes: when they are declared, and once more at the first request, with the config that Fastify has
 * made of it.
 */
export class RouteRulesReader {
  readonly #defaults: RouteRules
  readonly #known = new WeakMap<object, RouteRules>()
  readonly #path: string
  readonly #outside: RouteRules
  readonly #outsideUnchecked: RouteRules

  constructor ({ block, path, flashValidation }: SessionConfig) {
    this.#path = path
    this.#defaults = { enabled: true, reason: '', readonly: false, block, csrf: true, flashValidation }
    const reason = `this request has no session: its URL is outside of the option path, '${path}', where browsers do not send the cookie. ` +
      'Choose a path that has all routes with a session in it. Where a proxy takes a prefix off the URLs, let it leave that on'
    this.#outside = { ...this.#defaults, enabled: false, reason }
    this.#outsideUnchecked = { ...this.#outside, csrf: false }
  }

  /**
   * @returns the rules of a route, but for those of its requests
   * @throws SessionConfigError when what the route says of its session makes no sense
   */
  check ({ config, method, url }: RouteOptions): RouteRules {
    return this.#of(config, () => `${[method].flat().join(', ')} ${url}`)
  }

  /** @returns the rules for a request, of which the route's are a part */
  for ({ originalUrl, method }: FastifyRequest, config: RouteConfig & { readonly url?: string }): RouteRules {
    const rules = this.#of(config, () => `${method} ${config.url}`)
    if (isWithinPath(originalUrl, this.#path)) return rules
    // Another spelling of a URL within the path leads to the same route, and brings no cookie.
    return rules.csrf && canAnswerWithin(config.url, this.#path) ? this.#outside : this.#outsideUnchecked
  }

  #of (config: RouteConfig | undefined, route: () => string): RouteRules {
    if (config?.session === undefined) return this.#defaults
    const known = this.#known.get(config)
    if (known !== undefined) return known
    const rules = this.#read(config.session, route)
    this.#known.set(config, rules)
    return rules
  }

  #read (wishes: unknown, route: () => string): RouteRules {
    if (wishes === false) return { enabled: false, reason: NO_SESSION, readonly: false, block: false, csrf: false, flashValidation: false }
    const { block: blockOfPlugin, flashValidation: byDefault } = this.#defaults
    const { readonly, block = blockOfPlugin, csrf = true, flashValidation = byDefault } = checkRouteOptions(wishes, route())
    // A read-only session takes no errors.
    return { ...this.#defaults, readonly, block, csrf, flashValidation: flashValidation && !readonly }
  }
}
