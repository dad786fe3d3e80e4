/**
 * What is compared.
 *
 * @typedef {object} Stack
 * @property {string} name on the command line
 * @property {string} label
 * @property {string} server the file that is run
 * @property {string} [kind] of its store
 * @property {number} [processes] on the same store; 1 when left out
 * @property {boolean} [usesRedis]
 */

/** @type {readonly Stack[]} the first one is what the others are measured against */
export const stacks = [
  { name: 'fastify', label: 'bare Fastify', server: 'fastify.js' },
  { name: 'fastify-2', label: 'bare Fastify, 2 processes', server: 'fastify.js', processes: 2 },
  { name: 'least', label: 'the least: a Map, no safeguards', server: 'least.js' },
  { name: 'memory', label: 'ambient-session, memory', server: 'ambient-session.js', kind: 'memory' },
  { name: 'file', label: 'ambient-session, file', server: 'ambient-session.js', kind: 'file' },
  { name: 'file-2', label: 'ambient-session, file, 2 processes', server: 'ambient-session.js', kind: 'file', processes: 2 },
  { name: 'cookie', label: 'ambient-session, cookie', server: 'ambient-session.js', kind: 'cookie' },
  { name: 'redis', label: 'ambient-session, redis', server: 'ambient-session.js', kind: 'redis', usesRedis: true },
  { name: 'fastify-session', label: '@fastify/session, memory', server: 'fastify-session.js', kind: 'memory' },
  { name: 'fastify-session-file', label: '@fastify/session + session-file-store', server: 'fastify-session.js', kind: 'file' },
  { name: 'fastify-session-redis', label: '@fastify/session + connect-redis', server: 'fastify-session.js', kind: 'redis', usesRedis: true },
  { name: 'secure-session', label: '@fastify/secure-session', server: 'secure-session.js' },
  { name: 'express-session-file', label: 'express-session + session-file-store', server: 'express-session.js' }
]

/** Which stacks do the same job, by name. */
export const comparisons = [
  ['memory', 'least'],
  ['memory', 'fastify-session'],
  ['file', 'fastify-session-file'],
  ['redis', 'fastify-session-redis'],
  ['cookie', 'secure-session'],
  ['file-2', 'file']
]

/** What is asked of every stack; new sessions last, because they grow its store. */
export const workloads = [
  { name: 'untouched', path: '/untouched', sendsCookie: true },
  { name: 'read', path: '/read', sendsCookie: true },
  { name: 'write', path: '/write', sendsCookie: true },
  { name: 'new', path: '/new', sendsCookie: false }
]
