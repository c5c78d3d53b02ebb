import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Way } from '../support/tcp-proxy.ts'

/** The way of one process to one store: through a proxy of its own, or from one namespace to another. */
export interface Link {
  /** Nothing gets through, and nobody is told. @param way to the store, or from it. @default both */
  stall(way?: Way): unknown
  resume(): unknown
  /** Ends the connections. */
  cut(): unknown
  /** Ends the connections, and new ones fail at once. */
  refuse(): unknown
  accept(): unknown
}

/** A MAC address that nobody has: what is sent to it vanishes, without an answer. */
const NOBODY = '02:00:00:00:00:00'
const BRIDGE = 'br0'

/**
 * A network of one run: each of its hosts is a network namespace, and all are on one bridge in a namespace of its
 * own. The host's network is not touched, and nothing has a name: a namespace lives as long as the shell that holds
 * it and the programs in it, and the shell reads a pipe that only this process has: it ends with it, however that ends.
 */
export class Nets {
  readonly #hub: Shell
  readonly #hosts: Host[] = []

  private constructor(hub: Shell) {
    this.#hub = hub
  }

  /** Undefined where namespaces cannot be made: no root, no CAP_NET_ADMIN, no `ip`, another system. */
  static async make(): Promise<Nets | undefined> {
    const hub = new Shell()
    const nets = new Nets(hub)
    try {
      await hub.run(`ip link add ${BRIDGE} type bridge`, `ip link set ${BRIDGE} up`)
      // What a host needs may be missing still.
      await nets.host()
      return nets
    } catch {
      nets.close()
      return undefined
    }
  }

  async host(): Promise<Host> {
    const number = this.#hosts.length + 1
    const host = new Host(this.#hub, number)
    this.#hosts.push(host)
    await host.connect()
    return host
  }

  /** Whatever was cut is as new. */
  async mend(): Promise<void> {
    await Promise.all(this.#hosts.map((host) => host.plugIn()))
    for (const host of this.#hosts) {
      await Promise.all(this.#hosts.map((other) => host.reach(other)))
    }
  }

  close(): void {
    for (const host of this.#hosts) host.close()
    this.#hub.end()
  }
}

/** A namespace with one interface, whose cable is a port of the bridge. */
export class Host {
  readonly address: string
  readonly #hub: Shell
  readonly #shell = new Shell()
  readonly #port: string

  constructor(hub: Shell, number: number) {
    this.#hub = hub
    this.#port = `port${number}`
    this.address = `10.0.0.${number}`
  }

  /** What a program is started by, to run here. */
  get enter(): readonly string[] {
    return ['nsenter', `--net=/proc/${this.#shell.pid}/ns/net`]
  }

  async connect(): Promise<void> {
    // Who answers has a namespace of its own by now; before, its interface would be one of this machine's.
    await this.#shell.run('ip link set lo up')
    await this.#hub.run(
      `ip link add ${this.#port} type veth peer name eth0 netns ${this.#shell.pid}`,
      `ip link set ${this.#port} master ${BRIDGE} up`,
    )
    await this.#shell.run(
      `ip address add ${this.address}/24 dev eth0`,
      'ip link set eth0 up',
      // Programs of this host reach each other by it also while the cable is out.
      `ip address add ${this.address}/32 dev lo`,
    )
  }

  /** What is sent vanishes; connections stay. */
  unplug(): Promise<void> {
    return this.#hub.run(`ip link set ${this.#port} down`)
  }

  /** The interface itself: new connections fail at once. */
  switchOff(): Promise<void> {
    return this.#shell.run('ip link set eth0 down')
  }

  async plugIn(): Promise<void> {
    await this.#hub.run(`ip link set ${this.#port} up`)
    await this.#shell.run('ip link set eth0 up')
  }

  /** What is sent to that one vanishes; what it sends arrives. */
  lose({ address }: Host): Promise<void> {
    return this.#shell.run(`ip neigh replace ${address} lladdr ${NOBODY} dev eth0 nud permanent`)
  }

  refuse({ address }: Host): Promise<void> {
    return this.#shell.run(`ip route replace unreachable ${address}/32`)
  }

  reach({ address }: Host): Promise<void> {
    return this.#shell.run(
      `ip neigh del ${address} dev eth0 2>/dev/null || :`,
      `ip route del unreachable ${address}/32 2>/dev/null || :`,
    )
  }

  /** Connections are gone from this host, and the other one is told if it can be; all of them without one. */
  forget(other?: Host): Promise<void> {
    const which = other === undefined ? '' : `dst ${other.address}`
    return this.#shell.run(`ss -K -t ${which} >/dev/null 2>&1 || :`)
  }

  close(): void {
    this.#shell.end()
  }
}

export function netLink(machine: Host, store: Host): Link {
  return {
    stall: (way) =>
      Promise.all([
        ...(way === 'back' ? [] : [machine.lose(store)]),
        ...(way === 'there' ? [] : [store.lose(machine)]),
      ]),
    resume: () => Promise.all([machine.reach(store), store.reach(machine)]),
    cut: () => machine.forget(store),
    async refuse() {
      await machine.refuse(store)
      await machine.forget(store)
    },
    accept: () => machine.reach(store),
  }
}

/** A shell in a new network namespace, which runs what it is given, one after the other. */
class Shell {
  readonly #child: ChildProcess
  readonly #lines: AsyncIterator<string>
  readonly #gone: Promise<never>
  #tail: Promise<unknown> = Promise.resolve()

  constructor() {
    // Detached: Ctrl-C reaches the whole group, and this one ends by itself.
    this.#child = spawn('unshare', ['-n', 'sh'], {
      stdio: ['pipe', 'pipe', 'ignore'],
      detached: true,
    })
    this.#child.stdin!.on('error', () => undefined)
    this.#lines = createInterface(this.#child.stdout!)[Symbol.asyncIterator]()
    const gone = once(this.#child, 'exit')
    this.#gone = gone.then(() => {
      throw new Error('a network namespace is gone')
    })
    this.#gone.catch(() => undefined)
  }

  get pid(): number {
    return this.#child.pid!
  }

  /** Each only if the one before has succeeded. */
  run(...commands: readonly string[]): Promise<void> {
    const script = commands.map((command) => `{ ${command}; }`).join(' && ')
    const done = this.#tail.then(async () => {
      this.#child.stdin!.write(`{ ${script}; } </dev/null 2>&1; echo "= $?"\n`)
      const said: string[] = []
      for (;;) {
        const { value, done: ended } = await Promise.race([this.#lines.next(), this.#gone])
        if (ended === true) throw new Error('a network namespace is gone')
        if (value === '= 0') return
        if (value.startsWith('= ')) throw new Error(`${script}: ${said.join(' ')}`)
        said.push(value)
      }
    })
    this.#tail = done.catch(() => undefined)
    return done
  }

  end(): void {
    this.#child.stdin!.end()
  }
}
