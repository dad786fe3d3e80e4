/** What the code blocks of pages can use while they run, and what becomes of the values they state. */
import { once } from 'node:events'
import { inspect, isDeepStrictEqual } from 'node:util'
import type { FastifyInstance, FastifyReply, FastifyRequest, LightMyRequestResponse } from 'fastify'

type Handler = (request: FastifyRequest, reply: FastifyReply) => unknown

const problems: string[] = []
const reached = new Set<number>()

/** What withExpectations() and programOf() make a block call. */
export const docs = {
  /** Compares what the block gives with what the page states. A regular expression stands for all texts that fit. */
  expect<T> (line: number, actual: T, expected: unknown): T {
    reached.add(line)
    const fits = expected instanceof RegExp && typeof actual === 'string' ? expected.test(actual) : isDeepStrictEqual(actual, expected)
    if (!fits) problems.push(`line ${line}: the page states ${inspect(expected)} and it is ${inspect(actual)}`)
    return actual
  },

  /** Sees whether a statement throws the error that the page states. */
  async throws (line: number, statement: () => unknown, name: string): Promise<void> {
    reached.add(line)
    const error = await Promise.resolve().then(statement).then(() => undefined, (error: unknown) => error as Error)
    if (error?.name !== name) problems.push(`line ${line}: the page states that ${name} is thrown, and it was ${error?.name ?? 'nothing'}`)
  },

  /** Sees whether code throws an error of the text that is the block. */
  async throwsText (code: () => Promise<unknown>, text: string): Promise<void> {
    const error = await code().then(() => 'nothing', String)
    if (error !== text) problems.push(`the page shows ${inspect(text)} and what is thrown is ${inspect(error)}`)
  },

  /** Has a new visitor make one request for each handler, one after the other. */
  async visit (app: FastifyInstance, handlers: readonly Handler[]): Promise<void> {
    for (const [index, handler] of handlers.entries()) {
      app.get(`/${index}`, async (request, reply) => {
        try {
          return await handler(request, reply)
        } catch (error) {
          problems.push(inspect(error))
          return reply.code(500).send()
        }
      })
    }
    const someone = visitor(app)
    for (const index of handlers.keys()) await someone.get(`/${index}`)
  }
}

export interface Visitor {
  get: (url: string) => Promise<LightMyRequestResponse>
  post: (url: string, body?: object, headers?: Record<string, string>) => Promise<LightMyRequestResponse>
}

/** @returns a browser, as far as it is one that keeps its cookies */
export function visitor (app: FastifyInstance): Visitor {
  let cookies: Record<string, string> = {}
  const request = async (method: 'GET' | 'POST', url: string, body?: object, headers: Record<string, string> = {}): Promise<LightMyRequestResponse> => {
    const response = await app.inject({ method, url, cookies, headers, ...body !== undefined && { body } })
    for (const { name, value, maxAge } of response.cookies) {
      const { [name]: _, ...others } = cookies
      cookies = maxAge === 0 ? others : { ...others, [name]: value }
    }
    return response
  }
  return { get: url => request('GET', url), post: (url, body, headers) => request('POST', url, body, headers) }
}

/** @returns the code of the next warning that the process is told */
export async function warned (): Promise<string> {
  const [warning] = await once(process, 'warning') as [{ code: string }]
  return warning.code
}

/** @returns what has gone wrong since it was asked last, given the lines that the block should have reached */
export function takeProblems (expectations: readonly number[]): string[] {
  const unreached = expectations.filter(line => !reached.has(line)).map(line => `line ${line}: the block never came to what is stated here`)
  reached.clear()
  return [...problems.splice(0), ...unreached]
}
