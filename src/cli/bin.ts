#!/usr/bin/env node
import { whenLeftBehind } from './framework/left-behind.ts'
import { main } from './main.ts'

// The reader of `switchback history | head` has closed the pipe, which is not an error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? 0 : 1)
})

// One Ctrl-C may arrive twice: from the terminal, and from npm, which passes it on.
const ONE_KEYSTROKE_MS = 200

const stop = new AbortController()
let stoppedAt = 0
for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.on(name, () => {
    const now = performance.now()
    if (!stop.signal.aborted) {
      stoppedAt = now
      stop.abort(new Error(name))
    } else if (now - stoppedAt > ONE_KEYSTROKE_MS) {
      process.exit(name === 'SIGINT' ? 130 : 143)
    }
  })
}
whenLeftBehind(() => stop.abort(new Error('SIGTERM')))

// What a command waits for may hold nothing: a timer that does not keep an application alive, a connection
// that was given up. With an empty event loop Node would end here, with code 13 and without a word.
const running = setInterval(() => {}, 2 ** 30)

process.exitCode = await main({
  argv: process.argv.slice(2),
  env: process.env,
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  signal: stop.signal,
})
clearInterval(running)
