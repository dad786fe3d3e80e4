/** `npm start`: opens the shop at http://localhost:3000, or at PORT and HOST. */
import { buildApp } from './app.ts'

const { HOST: host = 'localhost', PORT: port = '3000' } = process.env

const app = await buildApp()

try {
  const address = new URL(await app.listen({ host, port: Number(port) }))
  console.log(`The shop is open: http://${host}:${address.port} (Ctrl-C closes it)`)
} catch (error) {
  if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error
  console.error(`Port ${port} is taken. Choose another one: PORT=3001 npm start`)
  process.exitCode = 1
  await app.close()
}

// Requests under way are answered first. The sessions need no farewell: each was stored before its response left.
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => { void app.close() })
}
