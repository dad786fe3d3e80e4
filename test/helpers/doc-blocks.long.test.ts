/** That the code blocks of pages are really run: each of these blocks is wrong, or right, in one way. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { blocksOf, faultsIn } from './doc-blocks.ts'

const root = join(import.meta.dirname, '../..')

/** By a name in front of each block: the block, and what is to be found wrong with it. */
const cases: Record<string, readonly [markdown: string, problem: RegExp | undefined]> = {
  'a value that is as stated is accepted': [block('ts', 'const sum = 1 + 1 // => 2'), undefined],
  'a value that is not as stated is a fault': [block('ts', 'const sum = 1 + 1 // => 3'), /line \d+: the page states 3 and it is 2/],
  'an expression that is not as stated is a fault': [block('ts', 'JSON.stringify({}) // => "[]"'), /the page states '\[\]' and it is '{}'/],
  'a text may be stated by what it looks like': [block('ts', "'abc' // => /^[a-c]+$/"), undefined],
  'a result that is not as stated is a fault': [block('ts', 'const one = () => {\n  return 1 // => 2\n}\none()'), /states 2 and it is 1/],
  'an error that is thrown as stated is accepted': [block('ts', "JSON.parse('{') // throws SyntaxError"), undefined],
  'an error that is not thrown is a fault': [block('ts', "JSON.parse('{}') // throws SyntaxError"), /states that SyntaxError is thrown, and it was nothing/],
  'another error than the one stated is a fault': [block('ts', "JSON.parse('{') // throws TypeError"), /states that TypeError is thrown, and it was SyntaxError/],
  'a statement that is never reached is a fault': [block('ts', 'const never = () => {\n  return 1 // => 1\n}\nnever'), /never came to what is stated/],
  'an expectation behind no statement is a fault': [block('ts', 'if (Date.now() > 0) { // => true\n}'), /stands behind no statement/],
  'a block that throws is a fault': [block('ts', "throw new Error('a surprise')"), /a surprise/],
  'an error that is not awaited is a fault': [block('ts', "void Promise.reject(new Error('nobody awaits'))\nawait new Promise(resolve => { setImmediate(resolve) })"), /nobody awaits/],
  'a wrong type is a fault': [block('ts', "const text: string = Number('1')\ntext"), /'number' is not assignable to type 'string'/],
  'a name that the package does not export is a fault': [block('ts', "import { sesion } from 'ambient-session'\nsesion"), /has no exported member/],
  'options that the plugin takes are accepted': [block('ts', 'export default { lifetime: 60 }'), undefined],
  'options that the plugin refuses are a fault': [block('ts', 'export default { lifetme: 60 }'), /did you mean lifetime/],
  'a fragment of a handler has a session': [`<!-- in a handler -->\n${block('ts', "req.session().put('a', 1)\nsession('a') // => 1")}`, undefined],
  'a fragment of a handler that throws is a fault': [`<!-- in a handler -->\n${block('ts', "session().increment('')")}`, /SessionValueError/],
  'a fragment can go on in the next request': [`<!-- in a handler -->\n${block('ts', "session().flash('a', 1)\n// in the next request\nsession('a') // => 1\n// and in the next request\nsession('a') // => undefined")}`, undefined],
  'a fragment can find a session with data': [`<!-- in a handler\ngiven: { a: 1 } -->\n${block('ts', "session('a') // => 1")}`, undefined],
  'a fragment of an app can be tried out': [`<!-- in an app\noptions: { cookie: 'c' }\nthen:\n(await visitor(app).get('/')).body // => 'c'\n-->\n${block('ts', "app.get('/', () => session().name)")}`, undefined],
  'a fragment of an app can register the plugin itself': [`<!-- in a bare app\nthen:\n(await visitor(app).get('/')).body // => 'c'\n-->\n${block('ts', "await app.register(ambientSession, { cookie: 'c' })\napp.get('/', () => session().name)")}`, undefined],
  'what is tried out is held against the page, too': [`<!-- in an app\nthen:\n(await visitor(app).get('/')).body // => 'd'\n-->\n${block('ts', "app.get('/', () => 'c')")}`, /line \d+: the page states 'd' and it is 'c'/],
  'members that a type has are accepted': [`<!-- members of Session -->\n${block('ts', 'put (key: string, value: unknown): void')}`, undefined],
  'members that a type does not have are a fault': [`<!-- members of Session -->\n${block('ts', 'putt (key: string, value: unknown): void')}`, /'putt' is missing/],
  'an unknown kind of fragment is a fault': [`<!-- in a dream -->\n${block('ts', '1')}`, /unknown line: in a dream/],
  'a setting that does not exist is a fault': [`<!-- in a handler\ngivn: {} -->\n${block('ts', '1')}`, /unknown line: givn/],
  'a command of npm that exists is accepted': [block('sh', 'npm ci && npm test # comment\nnpm i ambient-session fastify'), undefined],
  'a script that does not exist is a fault': [block('sh', 'npm run tset'), /package.json does not know tset/],
  'packages that programs of pages are run with can be installed': [block('sh', 'npm i @fastify/formbody ghtml'), undefined],
  'a package that nothing is run with is a fault': [block('sh', 'npm i ambient-session fastfiy'), /package.json does not know fastfiy/],
  'an own command is run': [block('sh', 'npx ambient-session init'), undefined],
  'an own command that fails is a fault': [block('sh', 'npx ambient-session innit'), /unknown command: innit/],
  'a command that nothing runs is a fault': [block('sh', 'make'), /nothing runs the command: make/],
  'JSON that can be parsed is accepted': [block('json', '{ "a": 1 }'), undefined],
  'JSON that cannot be parsed is a fault': [block('json', '{ a: 1 }'), /JSON/],
  'a tree of files that are there is accepted': [block('text', 'src/\n  index.ts   what users import\n  session/\n    id.ts'), undefined],
  'a tree with a file that is not there is a fault': [block('text', 'src/\n  session/\n    identity.ts'), /there is no src\/session\/identity.ts/],
  'an own command that needs a server finds one': [block('sh', 'SESSION_LIFETIME=60 node server.js'), undefined],
  'variables that the plugin refuses are a fault': [block('sh', 'SESSION_LIFETIME=long node server.js'), /SESSION_LIFETIME: expected a number of minutes/],
  'the text of an error that is thrown is accepted': [`<!-- thrown by:\nthrow new Error('as shown') -->\n${block('text', 'Error: as shown')}`, undefined],
  'the text of an error that is another one is a fault': [`<!-- thrown by:\nthrow new Error('other') -->\n${block('text', 'Error: as shown')}`, /the page shows 'Error: as shown' and what is thrown is 'Error: other'/],
  'a text that nothing checks is a fault': [block('text', 'lorem ipsum'), /nothing checks it/],
  'a file that is shown as it is is accepted': [`<!-- the file .taprc -->\n${block('yaml', readFileSync(join(root, '.taprc'), 'utf8').trimEnd())}`, undefined],
  'a file that is not shown as it is is a fault': [`<!-- the file .taprc -->\n${block('yaml', 'include:')}`, /not what is in .taprc/],
  'a file that is not there is a fault': [`<!-- the file .tprc -->\n${block('yaml', 'include:')}`, /there is no .tprc/],
  'a language that nothing runs is a fault': [block('cobol', 'STOP RUN.'), /nothing runs a block of the language 'cobol'/],
  'a block without a language is a fault': [block('', '1'), /nothing runs a block/]
}

function block (language: string, code: string): string {
  return `\`\`\`${language}\n${code}\n\`\`\`\n`
}

t.test('of a page', async t => {
  const blocks = blocksOf({ name: 'page.md', text: Object.values(cases).map(([markdown]) => markdown).join('\n') })
  const faults = await faultsIn(blocks, { root, directory: t.testdir() })
  for (const [index, [name, [, problem]]] of Object.entries(cases).entries()) {
    const found = faults.filter(fault => fault.block === blocks[index]).map(fault => fault.problem)
    t.test(name, async t => {
      if (problem === undefined) t.same(found, [])
      else t.match(found, [problem])
    })
  }
})

t.test('a block that is not closed is refused', async t => {
  t.throws(() => blocksOf({ name: 'page.md', text: '# Title\n\n```ts\nlet a' }), { message: 'page.md:3: the block is not closed' })
})
