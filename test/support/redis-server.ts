import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { HUNG_MS } from './until.ts'

export interface StartRedisOptions {
  /** @default a free one */
  readonly port?: number
  /** @default `redis-server`, or what REDIS_SERVER_BIN names */
  readonly program?: string | undefined
  /** Added after the defaults, e.g. `['--maxmemory', '4mb']`: the last one wins. */
  readonly args?: readonly string[]
  /** Runs a Sentinel instead, with these lines in its configuration file. */
  readonly sentinel?: readonly string[]
  /** Working directory (kept by `stop`). @default a temporary one (removed by `stop`) */
  readonly dir?: string
  /** Added to the environment of the process. */
  readonly env?: Readonly<Record<string, string>>
  /** Another network, where others reach it: commands of this process go through a Unix socket in `dir`. */
  readonly within?: OtherNetwork | undefined
}

export interface OtherNetwork {
  /** A program and its arguments that start another one there. */
  readonly enter: readonly string[]
  /** Of that network. */
  readonly address: string
}

/** A real redis-server on loopback, which dies with this process whatever kills it. */
export interface TestRedis extends AsyncDisposable {
  /** Where others reach it. */
  readonly host: string
  readonly port: number
  /** How this process does: a port of this machine, or the path of a Unix socket. */
  readonly via: number | string
  readonly url: string
  readonly dir: string
  /** Of the running process; the last one when it is dead. */
  readonly pid: number
  readonly alive: boolean
  /** Ends the process and removes its temporary directory. */
  stop(): Promise<void>
  /** SIGKILL; resolves when the process is gone. The data directory stays for `restart`. */
  kill(): Promise<void>
  /** SIGSTOP: accepts connections and bytes (the kernel does), answers nothing. */
  freeze(): void
  /** SIGCONT. */
  thaw(): void
  /** Writes the data to disk now: what a later `restart({ keepData: true })` of a dead server finds. */
  snapshot(): Promise<void>
  /**
   * Kills the process when it is alive and starts it again on the same port. With `keepData` it comes
   * back with the data of this moment (or of the last `snapshot` when it is already dead), else empty.
   */
  restart(options?: { readonly keepData?: boolean }): Promise<void>
  /** One command on a connection of its own: see `sendCommand`. */
  command(...args: readonly string[]): Promise<string>
}

const BINARY = process.env['REDIS_SERVER_BIN'] ?? 'redis-server'
const VALKEY = process.env['VALKEY_SERVER_BIN'] ?? 'valkey-server'

export async function startRedis(options: StartRedisOptions = {}): Promise<TestRedis> {
  const dir = options.dir ?? mkdtempSync(join(tmpdir(), 'switchback-redis-'))
  // Another process may take a free port between the look and the bind: then look again.
  for (let attempt = 1; ; attempt++) {
    const port = options.port ?? (await freePort())
    const server = new RedisProcess(port, dir, options)
    try {
      await server.start()
      return server
    } catch (error) {
      await server.release()
      if (options.port === undefined && attempt < 5) continue
      await server.stop()
      throw error
    }
  }
}

class RedisProcess implements TestRedis {
  readonly host: string
  readonly port: number
  readonly via: number | string
  readonly url: string
  readonly dir: string
  readonly #options: StartRedisOptions
  #child: ChildProcess | undefined
  #guard: Guard | undefined
  #exited: Promise<void> = Promise.resolve()

  constructor(port: number, dir: string, options: StartRedisOptions) {
    const { within } = options
    this.host = within?.address ?? '127.0.0.1'
    this.port = port
    this.via = within === undefined ? port : join(dir, 'redis.sock')
    this.url = `redis://${this.host}:${port}`
    this.dir = dir
    this.#options = options
  }

  get pid(): number {
    return this.#child?.pid ?? 0
  }

  get alive(): boolean {
    const child = this.#child
    return child !== undefined && child.exitCode === null && child.signalCode === null
  }

  async start(): Promise<void> {
    const [program, ...args] = [
      ...(this.#options.within?.enter ?? []),
      this.#options.program ?? BINARY,
      ...this.#arguments(),
    ]
    const child = spawn(program!, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...this.#options.env },
    })
    this.#child = child
    let output = ''
    const keep = (chunk: Buffer): void => {
      output = (output + chunk.toString()).slice(-2000)
    }
    child.stdout?.on('data', keep)
    child.stderr?.on('data', keep)
    let dead = false
    this.#exited = new Promise<void>((resolve) => {
      const ended = (error: unknown): void => {
        if (error instanceof Error) output += String(error)
        dead = true
        resolve()
      }
      child.once('exit', ended).once('error', ended)
    })
    this.#guard ??= new Guard(this.#ownsDir ? this.dir : '')
    this.#guard.watch(child)
    const deadline = Date.now() + HUNG_MS
    for (;;) {
      const reply = await this.command('PING').catch(() => '')
      // A server of somebody else may answer on this port while ours has failed to bind it.
      if (dead) throw new Error(`redis-server ended at start: ${output}`)
      if (reply === 'PONG' || reply.startsWith('NOAUTH')) return
      if (Date.now() > deadline) throw new Error(`redis-server did not answer: ${output}`)
      await delay(10)
    }
  }

  get #ownsDir(): boolean {
    return this.#options.dir === undefined
  }

  #arguments(): readonly string[] {
    const address = ['--port', String(this.port), '--bind', '127.0.0.1', '--dir', this.dir]
    const { sentinel, args = [] } = this.#options
    if (typeof this.via === 'string') {
      address.push('--bind', '0.0.0.0', '--protected-mode', 'no', '--unixsocket', this.via)
    }
    if (sentinel === undefined) return [...address, '--save', '', '--appendonly', 'no', ...args]
    const file = join(this.dir, 'sentinel.conf')
    writeFileSync(file, `${sentinel.join('\n')}\n`)
    return [file, '--sentinel', ...address, ...args]
  }

  async stop(): Promise<void> {
    await this.release()
    if (this.#ownsDir) rmSync(this.dir, { recursive: true, force: true })
  }

  /** Ends the process and its guard; the directory stays. */
  async release(): Promise<void> {
    await this.kill()
    this.#guard?.dismiss()
    this.#guard = undefined
  }

  async kill(): Promise<void> {
    if (this.alive) this.#child?.kill('SIGKILL')
    await this.#exited
  }

  freeze(): void {
    this.#child?.kill('SIGSTOP')
  }

  thaw(): void {
    this.#child?.kill('SIGCONT')
  }

  async snapshot(): Promise<void> {
    const reply = await this.command('SAVE')
    if (reply !== 'OK') throw new Error(`SAVE: ${reply}`)
  }

  async restart(options: { readonly keepData?: boolean } = {}): Promise<void> {
    if (options.keepData === true && this.alive) await this.snapshot()
    await this.kill()
    if (options.keepData !== true) rmSync(join(this.dir, 'dump.rdb'), { force: true })
    await this.start()
  }

  command(...args: readonly string[]): Promise<string> {
    return sendCommand(this.via, args)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }
}

/**
 * A shell that reads a pipe whose other end only this process holds: the end of the file means that
 * this process is dead, however it died, and the server and its directory must not outlive it.
 */
class Guard {
  readonly #shell: ChildProcess

  constructor(removeDir: string) {
    const script = `pid=
      while read -r line; do
        [ "$line" = bye ] && exit
        pid=$line
      done
      [ -z "$pid" ] || kill -9 "$pid" 2>/dev/null
      [ -z "$1" ] || rm -rf "$1"`
    // Detached: Ctrl-C reaches the whole group, and must not reach the guard.
    this.#shell = spawn('/bin/sh', ['-c', script, 'guard', removeDir], {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
    })
    this.#shell.stdin?.on('error', () => undefined)
    if (this.#shell.stdin instanceof Socket) this.#shell.stdin.unref()
    this.#shell.unref()
  }

  watch(child: ChildProcess): void {
    if (child.pid === undefined) return
    this.#shell.stdin?.write(`${child.pid}\n`)
    // The number may soon be another process's.
    child.once('exit', () => this.#shell.stdin?.write('\n'))
  }

  dismiss(): void {
    this.#shell.stdin?.end('bye\n')
  }
}

/** A free loopback port, low enough that `port + 10000` (the cluster bus) is one as well. */
export async function freePort(): Promise<number> {
  for (;;) {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    server.close()
    await once(server, 'close')
    if (address !== null && typeof address === 'object' && address.port < 55_535) {
      return address.port
    }
  }
}

/** Whether a redis-server can be started here at all. */
export function redisServerAvailable(): boolean {
  return isThere(BINARY)
}

/** The program of Valkey, where there is one: `valkey-server`, or what VALKEY_SERVER_BIN names. */
export function valkeyServer(): string | undefined {
  return isThere(VALKEY) ? VALKEY : undefined
}

function isThere(program: string): boolean {
  if (program.includes('/')) return existsSync(program)
  return (process.env['PATH'] ?? '').split(':').some((path) => existsSync(join(path, program)))
}

/**
 * The reply as text, without its type mark; of an array, only its length.
 * @param to a port of this machine, or the path of a Unix socket
 */
export async function sendCommand(to: number | string, args: readonly string[]): Promise<string> {
  const socket = typeof to === 'number' ? connect(to, '127.0.0.1') : connect(to)
  try {
    await once(socket, 'connect')
    const parts = args.map((arg) => `$${Buffer.byteLength(arg)}\r\n${arg}\r\n`)
    socket.write(`*${args.length}\r\n${parts.join('')}`)
    let reply = Buffer.alloc(0)
    for await (const chunk of socket) {
      reply = Buffer.concat([reply, chunk as Buffer])
      const end = reply.indexOf('\r\n')
      if (end === -1) continue
      const line = reply.toString('utf8', 1, end)
      if (reply[0] !== 36 || line === '-1') return line
      const from = end + 2
      if (reply.length >= from + Number(line))
        return reply.toString('utf8', from, from + Number(line))
    }
    throw new Error(`connection to ${to} closed`)
  } finally {
    socket.destroy()
  }
}
