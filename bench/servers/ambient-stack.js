import { session } from '../../dist/index.js'
import { newVisitor } from './visitor.js'

/** @param {import('./serve.js').Stack['register']} register */
export function ambientStack (register) {
  return {
    register,
    begin () { session(newVisitor()) },
    name: () => session('name'),
    countVisit () { session().increment('visits') },
    visits: () => session('visits')
  }
}
