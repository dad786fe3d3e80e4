/** Ends this process when the one that started it is gone, even if that one was killed: its end of the standard input closes then. */
export function endWithParent (): void {
  process.stdin.on('close', () => { process.exit() }).resume().unref()
}
