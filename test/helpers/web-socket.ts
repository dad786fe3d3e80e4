/** A WebSocket of a browser that has the cookies of a visitor. */
import { once } from 'node:events'
import { WebSocket } from 'undici'

export class Socket {
  readonly #socket: WebSocket
  readonly #messages: string[] = []
  /** Resolves with the code with which the connection was closed. */
  readonly closed: Promise<number>

  private constructor (socket: WebSocket) {
    this.#socket = socket
    this.closed = new Promise(resolve => { socket.addEventListener('close', ({ code }) => { resolve(code) }) })
    socket.addEventListener('message', ({ data }) => { this.#messages.push(String(data)) })
  }

  static async open (url: string | URL, cookie: string): Promise<Socket> {
    const socket = new WebSocket(url, { headers: cookie === '' ? {} : { cookie } })
    const opened = new Socket(socket)
    await Promise.race([once(socket, 'open'), opened.closed.then(code => { throw new Error(`the server closed the connection with ${code}`) })])
    return opened
  }

  send (text: string): void {
    this.#socket.send(text)
  }

  /** @returns the next message that has not been taken */
  async message (): Promise<string> {
    for (;;) {
      const next = this.#messages.shift()
      if (next !== undefined) return next
      await Promise.race([once(this.#socket, 'message'), this.closed.then(code => { throw new Error(`the connection was closed with ${code}`) })])
    }
  }

  async close (): Promise<void> {
    this.#socket.close()
    await this.closed
  }
}
