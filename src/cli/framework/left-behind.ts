/** A shell that starts a program in the background ends at once: its end says nothing. */
const SETTLED_MS = 2000
const LOOK_MS = 500

/**
 * npm and npx run a program in a shell, and at SIGTERM end the shell only: the program would go on without
 * them, and keep its ports. Calls back once when the parent that it had a moment after its start is gone.
 */
export function whenLeftBehind(stop: () => void): void {
  const { env } = process
  if (env['npm_execpath'] === undefined && env['npm_lifecycle_event'] === undefined) return
  setTimeout(() => {
    const parent = process.ppid
    const timer = setInterval(() => {
      if (process.ppid === parent) return
      clearInterval(timer)
      stop()
    }, LOOK_MS).unref()
  }, SETTLED_MS).unref()
}
