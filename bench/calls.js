/**
 * `npm run bench:calls`: what the single calls cost of which a file store can be made, one after the other and with everything
 * in the caches, as it never is under load. For comparing designs with each other.
 *
 * Flags: --calls of one measurement, --no-docs.
 */
import { createHash, hash } from 'node:crypto'
import fs from 'node:fs'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { positive, readFlags } from './lib/flags.js'
import { formatFine, tableOf } from './lib/format.js'
import { describeMachine, sentenceOf } from './lib/machine.js'
import { writePart } from './lib/page.js'
import { median } from './lib/statistics.js'
import { createWorkspace } from './lib/workspace.js'
import { newVisitor } from './servers/visitor.js'

const FILES = 500
const SIZE = 1024
const ROUNDS = 5

const flags = readFlags({ calls: { type: 'string', default: '5000' }, 'no-docs': { type: 'boolean', default: false } })
const calls = Math.ceil(positive('calls', flags.calls))
const directory = createWorkspace()

const content = Buffer.alloc(SIZE, 'x')
const buffer = Buffer.alloc(SIZE)
const paths = Array.from({ length: FILES }, (_, n) => join(directory, String(n).padStart(64, '0')))
for (const path of paths) fs.writeFileSync(path, content)
const open = paths.map(path => fs.openSync(path, 'r+'))
const log = fs.openSync(join(directory, 'log'), 'a')
const lock = join(directory, 'lock')
const id = 'x'.repeat(43)
const state = newVisitor()
const text = JSON.stringify(state)
let made = 0

/** @type {Record<string, (n: number) => void>} */
const subjects = {
  'status of a path (`statSync`)': n => { fs.statSync(paths[n % FILES]) },
  'status of an open file (`fstatSync`)': n => { fs.fstatSync(open[n % FILES]) },
  'reading 1 KiB of an open file (`readSync`)': n => { fs.readSync(open[n % FILES], buffer, 0, SIZE, 0) },
  'reading a file by its path (`readFileSync`)': n => { fs.readFileSync(paths[n % FILES]) },
  'opening and closing a file': n => { fs.closeSync(fs.openSync(paths[n % FILES], 'r+')) },
  'overwriting 1 KiB in place (`writeSync`)': n => { fs.writeSync(open[n % FILES], content, 0, SIZE, 0) },
  'appending 1 KiB to a log': () => { fs.writeSync(log, content) },
  'making a file of 1 KiB': () => {
    const file = fs.openSync(join(directory, `new-${made++}`), 'wx')
    fs.writeSync(file, content)
    fs.closeSync(file)
  },
  'making a file and renaming it over another': n => {
    fs.writeFileSync(join(directory, 'temporary'), content)
    fs.renameSync(join(directory, 'temporary'), paths[n % FILES])
  },
  'a lock: `link` and `unlink`': () => {
    fs.linkSync(paths[0], lock)
    fs.unlinkSync(lock)
  },
  'a lock: `mkdir` and `rmdir`': () => {
    fs.mkdirSync(lock)
    fs.rmdirSync(lock)
  },
  'SHA-256 of an id (`hash`)': () => { hash('sha256', id, 'hex') },
  'SHA-256 of an id (`createHash`)': () => { createHash('sha256').update(id).digest('hex') },
  'CRC-32 of 1 KiB': () => { crc32(content) },
  [`\`JSON.parse\` of a session of ${text.length} bytes`]: () => { JSON.parse(text) },
  [`\`JSON.stringify\` of a session of ${text.length} bytes`]: () => { JSON.stringify(state) }
}

const rows = Object.entries(subjects).map(([name, call]) => [name, formatFine(median(Array.from({ length: ROUNDS }, () => measure(call))))])
const page = `${sentenceOf(describeMachine(directory))}\n\n${tableOf(['call', 'µs'], rows)}`
console.log(page)
if (!flags['no-docs']) writePart('calls', page)
process.exit()

/** @returns microseconds of one call */
function measure (call) {
  for (let n = 0; n < calls / 10; n++) call(n)
  const begin = performance.now()
  for (let n = 0; n < calls; n++) call(n)
  return (performance.now() - begin) * 1000 / calls
}
