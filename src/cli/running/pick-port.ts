import { createServer } from 'node:net'
import { SwitchbackError } from '../../errors.ts'

export interface PortWish {
  readonly host: string
  /** The requested port; `undefined` for the default. 0: any. */
  readonly asked: number | undefined
  readonly preferred: number
  /** How to ask for another one, e.g. `--port or PORT`. */
  readonly option: string
  /** A port that another listener of ours is about to use. */
  readonly besides?: number | undefined
}

export interface PickedPort {
  readonly port: number
  /** The preferred port when it is taken, for the report. */
  readonly instead: number | undefined
}

/** Ten apart: the neighbours of our ports are our own other listeners. */
const STRIDE = 10
const TRIES = 20

/**
 * A port to listen on. A requested one must be free; the default is replaced, since a new user's
 * machine often has something on 3000.
 * @throws SwitchbackError `SB_PORT_TAKEN`
 */
export async function pickPort(wish: PortWish): Promise<PickedPort> {
  const { host, asked, preferred, option, besides } = wish
  if (asked !== undefined) {
    const problem = asked === 0 ? undefined : await bindProblem(host, asked)
    if (problem === undefined) return { port: asked, instead: undefined }
    throw portTaken(host, asked, option, problem)
  }
  let problem: string | undefined
  for (let attempt = 0; attempt < TRIES; attempt += 1) {
    const port = preferred + attempt * STRIDE
    problem = port === besides ? 'EADDRINUSE' : await bindProblem(host, port)
    if (problem === undefined) return { port, instead: port === preferred ? undefined : preferred }
    if (problem !== 'EADDRINUSE') break
  }
  throw portTaken(host, preferred, option, problem ?? '')
}

function portTaken(host: string, port: number, option: string, problem: string): SwitchbackError {
  const why = problem === 'EADDRINUSE' ? 'is in use' : `cannot be listened on (${problem})`
  return new SwitchbackError('SB_PORT_TAKEN', `port ${port} of ${host} ${why}`, {
    hint: `choose another one with ${option}`,
  })
}

/** An address that is not of this machine is a wrong host, not a taken port. */
const HOST_PROBLEMS: ReadonlySet<string> = new Set(['ENOTFOUND', 'EAI_AGAIN', 'EADDRNOTAVAIL'])

function bindProblem(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (HOST_PROBLEMS.has(error.code ?? '')) reject(error)
      else resolve(error.code ?? error.message)
    })
    server.listen({ host, port }, () => server.close(() => resolve(undefined)))
  })
}
