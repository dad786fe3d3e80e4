/** How a visitor's requests reach the application: through `inject()`, or over a socket. */
import type { FastifyInstance } from 'fastify'

export interface Sent {
  readonly method: string
  /** Path and query. */
  readonly url: string
  readonly headers: Headers
  readonly body: Buffer | undefined
}

export interface Received {
  readonly status: number
  readonly headers: Headers
  readonly bytes: Buffer
}

/** The way to a server, by the origin that its URLs have. */
export interface Exchange {
  origin (): Promise<string>
  send (request: Sent): Promise<Received>
}

/** What a browser would call a server that listens nowhere. */
const INJECTED_ORIGIN = 'http://localhost'

export function throughInject (app: FastifyInstance): Exchange {
  return {
    origin: async () => INJECTED_ORIGIN,
    send: async ({ method, url, headers, body }) => {
      const { statusCode, headers: answered, rawPayload } = await app.inject({
        method: method as 'GET',
        url,
        headers: { host: 'localhost', ...Object.fromEntries(headers) },
        ...body !== undefined && { payload: body }
      })
      const received = new Headers()
      for (const [name, value] of Object.entries(answered)) for (const one of [value].flat()) received.append(name, String(one))
      return { status: statusCode, headers: received, bytes: rawPayload }
    }
  }
}

/** @param base an application, which begins to listen unless it does, or the URL of a server */
export function overSockets (base: FastifyInstance | string): Exchange {
  let known: Promise<string> | undefined
  const origin = (): Promise<string> => {
    known ??= typeof base === 'string' ? Promise.resolve(new URL(base).origin) : originOf(base)
    return known
  }
  return {
    origin,
    send: async ({ method, url, headers, body }) => {
      const response = await fetch(await origin() + url, { method, headers, redirect: 'manual', ...body !== undefined && { body: new Uint8Array(body) } })
      return { status: response.status, headers: response.headers, bytes: Buffer.from(await response.arrayBuffer()) }
    }
  }
}

async function originOf (app: FastifyInstance): Promise<string> {
  if (!app.server.listening) await app.listen({ port: 0, host: '127.0.0.1' })
  return app.listeningOrigin
}
