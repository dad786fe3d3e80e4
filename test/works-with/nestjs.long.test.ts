/**
 * NestJS on Fastify: `@Session()`, guards, interceptors, filters and services. Decorators are called as functions, because the
 * tests are run by tools that only strip types.
 */
import 'reflect-metadata'
import {
  type ArgumentsHost, type CallHandler, type CanActivate, Catch, Controller, type ExceptionFilter, type ExecutionContext, Get, Injectable, Module,
  type NestInterceptor, Param, Post, Session, type Type, UnauthorizedException, UseFilters, UseGuards, UseInterceptors
} from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify'
import type { FastifyReply } from 'fastify'
import { tap } from 'rxjs'
import t, { type Test } from 'tap'
import ambientSession, { session } from '../../src/index.ts'
import type { RequestFacade } from '../../src/http/request-facade.ts'
import { visitor } from '../helpers/client.ts'

/** A provider that knows nothing of requests. */
class Greeter {
  greet (): string {
    return `hello ${session('name', 'stranger') as string}`
  }
}

class SignedIn implements CanActivate {
  canActivate (context: ExecutionContext): boolean {
    const { session } = context.switchToHttp().getRequest<{ session: RequestFacade }>()
    if (!session.name) throw new UnauthorizedException()
    return true
  }
}

class Counts implements NestInterceptor {
  intercept (_context: ExecutionContext, next: CallHandler) {
    return next.handle().pipe(tap(() => { session().increment('answers') }))
  }
}

/** Sends a visitor who is not signed in to the form, with a message. */
class ToForm implements ExceptionFilter {
  catch (_error: UnauthorizedException, host: ArgumentsHost): void {
    session().flash('message', 'sign in first')
    void host.switchToHttp().getResponse<FastifyReply>().redirect('/form', 303)
  }
}

class Pages {
  readonly #greeter = new Greeter()

  form (): unknown {
    return { message: session('message', 'welcome') }
  }

  async signIn (session: RequestFacade, name: string): Promise<string> {
    await session.regenerate()
    session.name = name
    return name
  }

  async signOut (session: RequestFacade): Promise<void> {
    await session.destroy()
  }

  home (session: RequestFacade): unknown {
    return { name: session.name, greeting: this.#greeter.greet(), answers: session('answers', 0) }
  }
}

class Application {}

/** `@Get('/')` in front of a method, as a call. */
function decorate (method: keyof Pages, ...decorators: (MethodDecorator | ParameterDecorator)[]): void {
  const descriptor = Object.getOwnPropertyDescriptor(Pages.prototype, method) ?? {}
  for (const decorator of decorators) (decorator as MethodDecorator)(Pages.prototype, method, descriptor)
}

function parameter (method: keyof Pages, index: number, decorator: ParameterDecorator): void {
  decorator(Pages.prototype, method, index)
}

for (const provider of [Greeter, SignedIn, Counts] as Type[]) Injectable()(provider)
Catch(UnauthorizedException)(ToForm)
parameter('signIn', 0, Session())
parameter('signIn', 1, Param('name'))
parameter('signOut', 0, Session())
parameter('home', 0, Session())
decorate('form', Get('form'))
decorate('signIn', Post('in/:name'))
decorate('signOut', Post('out'))
decorate('home', Get(), UseGuards(SignedIn), UseInterceptors(Counts), UseFilters(ToForm))
Controller()(Pages)
Module({ controllers: [Pages] })(Application)

async function application (t: Test) {
  const app = await NestFactory.create<NestFastifyApplication>(Application, new FastifyAdapter(), { logger: false })
  t.teardown(() => app.close())
  await app.register(ambientSession as never, { driver: 'memory' })
  await app.listen(0, '127.0.0.1')
  return (await app.getUrl())
}

t.test('guards, interceptors, filters, handlers and services of two visitors use their own sessions', async t => {
  const origin = await application(t)
  const [ada, eve] = [visitor(origin), visitor(origin)]
  const { status, headers } = await ada.get('/')
  t.same([status, headers.get('location')], [303, '/form'])
  t.same((await eve.get('/form')).json, { message: 'welcome' })
  t.same((await ada.get('/form')).json, { message: 'sign in first' })
  t.same((await ada.get('/form')).json, { message: 'welcome' })
  await ada.post('/in/ada')
  await eve.post('/in/eve')
  t.same((await ada.get('/')).json, { name: 'ada', greeting: 'hello ada', answers: 0 })
  t.same((await ada.get('/')).json, { name: 'ada', greeting: 'hello ada', answers: 1 })
  t.same((await eve.get('/')).json, { name: 'eve', greeting: 'hello eve', answers: 0 })
  const before = ada.copy()
  await ada.post('/out')
  t.equal((await ada.get('/')).status, 303)
  t.equal((await before.get('/')).status, 303)
  t.equal((await eve.get('/')).status, 200)
})
