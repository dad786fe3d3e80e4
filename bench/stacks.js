/**
 * What is compared.
 *
 * @typedef {object} Stack
 * @property {string} name on the command line
 * @property {string} label
 * @property {string} server the file that is run
 * @property {string[]} args what it is given, before the place where it may keep sessions
 * @property {string} [needs] the service that it keeps sessions on; its place is then a name there, and otherwise a directory
 * @property {'baseline' | 'own' | 'peer'} role
 */

/** @type {Stack} */
export const baseline = { name: 'fastify', label: 'bare Fastify', server: 'fastify.js', args: [], role: 'baseline' }

/** @type {readonly Stack[]} */
export const stacks = [
  baseline,
  { name: 'memory', label: 'ambient-session, memory', server: 'ambient-session.js', args: ['memory'], role: 'own' },
  { name: 'file', label: 'ambient-session, file', server: 'ambient-session.js', args: ['file'], role: 'own' },
  { name: 'redis', label: 'ambient-session, redis', server: 'ambient-session.js', args: ['redis'], needs: 'redis', role: 'own' },
  { name: 'postgres', label: 'ambient-session, PostgreSQL', server: 'ambient-session.js', args: ['postgres'], needs: 'postgres', role: 'own' },
  { name: 'mariadb', label: 'ambient-session, MariaDB', server: 'ambient-session.js', args: ['mariadb'], needs: 'mariadb', role: 'own' },
  { name: 'fastify-session', label: '@fastify/session, memory', server: 'fastify-session.js', args: ['memory'], role: 'peer' },
  { name: 'fastify-session-file', label: '@fastify/session + session-file-store', server: 'fastify-session.js', args: ['file'], role: 'peer' },
  { name: 'fastify-session-redis', label: '@fastify/session + connect-redis', server: 'fastify-session.js', args: ['redis'], needs: 'redis', role: 'peer' },
  { name: 'secure-session', label: '@fastify/secure-session', server: 'secure-session.js', args: [], role: 'peer' },
  { name: 'express-session-file', label: 'express-session + session-file-store', server: 'express-session.js', args: [], role: 'peer' }
]

/** The packages whose versions matter. */
export const peerPackages = ['@fastify/session', '@fastify/secure-session', 'express-session', 'session-file-store', 'connect-redis', 'redis']

/** And those of the clients that ambient-session uses, which are the root's. */
export const ownPackages = ['fastify', 'ioredis', 'kysely', 'pg', 'mysql2']
