/** `npx tsx examples/chat/server.ts`: opens the chat at http://localhost:3000, or at PORT and HOST. */
import { buildChat } from './app.ts'

const { HOST: host = 'localhost', PORT: port = '3000' } = process.env

const app = await buildChat()
const address = new URL(await app.listen({ host, port: Number(port) }))
console.log(`The chat is open: http://${host}:${address.port} (Ctrl-C closes it)`)

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => { void app.close() })
}
