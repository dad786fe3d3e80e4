/** The sockets of a pool that was opened for the store: no server that has gone silent may keep the process from ending. */
import type { Socket } from 'node:net'
import { within } from '../within.ts'

export class OwnSockets {
  readonly #open = new Set<Socket>()
  #isClosing = false

  add (socket: Socket): void {
    this.#open.add(socket)
    socket.once('close', () => { this.#open.delete(socket) })
    if (this.#isClosing) socket.unref()
  }

  /**
   * Ends the pool, whose connections say goodbye and then wait for the server to close its end. From then on they keep no
   * process running, and they are closed when the server has not answered in time.
   *
   * @throws SessionStoreError when the pool has not ended in time
   */
  async closeAfter (end: () => Promise<void>, timeout: number): Promise<void> {
    try {
      await within(timeout, end)
    } finally {
      this.#isClosing = true
      for (const socket of this.#open) socket.unref()
      setTimeout(() => { for (const socket of this.#open) socket.destroy() }, timeout).unref()
    }
  }
}
