/**
 * What JavaScript lets a program do to an object and what a session cannot honour: calling a method without its session
 * (`const { get } = req.session()`), setting properties (`req.session().user = …`), which would be stored nowhere, and handing
 * over a callback (`session.save(done)`, as in express-session), which nobody would call.
 * All of them throw, in sloppy code as well, and say what to write.
 *
 * The methods cost 12 ns more each (Node 20); nothing else is slower.
 */
import { SessionUsageError } from '../errors.ts'
import { quote } from './names.ts'

type Method = (...args: unknown[]) => unknown

/**
 * Guards all that is on the prototype of a class, once, when the class has been declared.
 *
 * @param isInstance whether a value has the private state of the class
 */
export function guard (prototype: object, isInstance: (value: unknown) => boolean): void {
  for (const [name, descriptor] of Object.entries(Object.getOwnPropertyDescriptors(prototype))) {
    if (name === 'constructor') continue
    const { value, get } = descriptor as { value?: Method, get?: () => unknown }
    const method = value && guarded(name, value, isInstance)
    Object.defineProperty(prototype, name, {
      configurable: true,
      enumerable: false,
      get: get ?? (() => method),
      set () { refuse(name) }
    })
  }
  // Assigning any other name searches the prototypes for a setter, and comes to this one.
  Object.setPrototypeOf(prototype, new Proxy({}, { set: (_target, name) => refuse(name) }))
}

function guarded (name: string, method: Method, isInstance: (value: unknown) => boolean): Method {
  // Or keys alone, of which none is a function.
  const takesNothing = method.length === 0
  const call = function (this: unknown, ...args: unknown[]): unknown {
    if (!isInstance(this)) {
      throw new SessionUsageError(`${name}() was called without its session: call it on the session, as in session().${name}(…), ` +
        'or keep the session and not the method: const session = req.session()')
    }
    if (takesNothing && typeof args[0] === 'function') {
      throw new SessionUsageError(`${name}() takes no callback: write session().${name}(), with await where it returns a promise, and go on in the next line`)
    }
    return Reflect.apply(method, this, args)
  }
  return Object.defineProperties(call, { name: { value: name }, length: { value: method.length } })
}

function refuse (name: string | symbol): never {
  if (typeof name === 'symbol') throw new SessionUsageError('a session has no properties of the application\'s, and a symbol is no key: put the value under a text')
  throw new SessionUsageError(`a session has no properties of the application's: write session().put(${quote(name)}, …)`)
}
