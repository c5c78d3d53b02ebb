import { spawn, type ChildProcess } from 'node:child_process'
import type { Socket } from 'node:net'

export interface SuperviseOptions {
  /** Program and arguments. */
  readonly command: readonly [string, ...string[]]
  /** Removed, with all that is in it, once the program has ended. */
  readonly directory?: string
  /**
   * How the program is ended: `KILL` for one without state, `TERM` for one that must pass the end
   * on (`docker run`). @default 'KILL'
   */
  readonly signal?: 'KILL' | 'TERM'
  readonly env?: Readonly<Record<string, string | undefined>>
}

/** A program that runs with us and ends with us. */
export interface Supervised {
  /** Resolves when the program has ended, with the last kilobytes of its output. */
  readonly ended: Promise<string>
  /** Ends the program; resolves when it is gone and its directory removed. */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/**
 * A shell supervises the program. Its standard input is a pipe from us: the kernel closes that pipe
 * whatever ends us, SIGKILL included, and the shell then ends the program and cleans up. It prints
 * nothing, because a write to a closed pipe would end it half way.
 */
const SUPERVISOR = `
signal=$1 directory=$2; shift 2
exec 3<&0 </dev/null
"$@" 3<&- & program=$!
exec >/dev/null 2>&1
(while read -r _ <&3; do :; done; kill -"$signal" "$program") & watch=$!
wait "$program"; status=$?
kill "$watch"; wait "$watch"
if [ -n "$directory" ]; then PATH=$PATH:/bin:/usr/bin rm -rf "$directory"; fi
exit "$status"
`

const OUTPUT_LIMIT = 4096

/** Starts a program that ends when we do, whatever ends us. Leaves no zombie and no directory. */
export function supervise(options: SuperviseOptions): Supervised {
  const { command, directory = '', signal = 'KILL', env } = options
  const shell = spawn('/bin/sh', ['-c', SUPERVISOR, 'sh', signal, directory, ...command], {
    stdio: ['pipe', 'pipe', 'pipe'],
    // A session of its own: Ctrl-C goes to the whole foreground group, and the program must outlive
    // our drain.
    detached: true,
    ...(env === undefined ? {} : { env }),
  })
  let output = ''
  for (const stream of [shell.stdout, shell.stderr]) {
    stream.setEncoding('utf8')
    stream.on('data', (chunk: string) => {
      output = (output + chunk).slice(-OUTPUT_LIMIT)
    })
  }
  shell.stdin.on('error', () => {
    // The program ended first; `ended` reports it.
  })
  const ended = new Promise<string>((resolve) => {
    shell.once('close', () => resolve(output))
    shell.once('error', (error) => resolve(error.message))
  })
  holdLoop(shell, false)
  const close = async (): Promise<void> => {
    holdLoop(shell, true)
    shell.stdin.end()
    await ended
  }
  return { ended, close, [Symbol.asyncDispose]: close }
}

/** A supervised program keeps our event loop alive only while we wait for its end. */
function holdLoop(shell: ChildProcess, hold: boolean): void {
  const method = hold ? 'ref' : 'unref'
  shell[method]()
  for (const stream of shell.stdio) (stream as Socket | null | undefined)?.[method]()
}
