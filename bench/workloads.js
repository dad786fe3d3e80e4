/**
 * What is asked of every stack.
 *
 * @typedef {object} Workload
 * @property {string} name on the command line
 * @property {string} label
 * @property {string} path
 * @property {boolean} sendsCookie
 */

/** @type {readonly Workload[]} */
export const workloads = [
  { name: 'no-cookie', label: 'no cookie', path: '/untouched', sendsCookie: false },
  { name: 'untouched', label: 'untouched', path: '/untouched', sendsCookie: true },
  { name: 'read', label: 'read', path: '/read', sendsCookie: true },
  { name: 'write', label: 'write', path: '/write', sendsCookie: true },
  { name: 'new', label: 'new session', path: '/new', sendsCookie: false }
]
