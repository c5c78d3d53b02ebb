import { isReachable } from '../../reachable.ts'
import { startSidecar, type SidecarLogEntry, type SidecarPorts } from '../../sidecar/index.ts'
import type { Environment } from '../framework/command.ts'
import { displayPath } from '../framework/format.ts'
import { flagdUrl } from '../changing/target.ts'

/** Where the flags come from. */
export interface FlagPlace {
  /** The provider's variables, as the flags room reads them. */
  readonly env: Environment
  /** One line for people; `undefined` when the variables say it all. */
  readonly detail: string | undefined
  /** Whether the flags file is served from here, so that editing it moves users. */
  readonly local: boolean
  /** Where the source answers OFREP, if it does. */
  readonly ofrep: string
  close(): Promise<void>
}

export interface FlagPlaceOptions {
  readonly env: Environment
  /** What the embedded sidecar serves: a flags file, or a directory of them. */
  readonly flags: string
  /**
   * Ignore a flagd that already runs on this machine, and leave its ports free. What the
   * environment names still counts. @default false
   */
  readonly isolated?: boolean
  readonly onLog: (entry: SidecarLogEntry) => void
}

/** Any of these variables names a source of flags. */
const CHOICES = [
  'FLAGD_HOST',
  'FLAGD_PORT',
  'FLAGD_SYNC_PORT',
  'FLAGD_RESOLVER',
  'FLAGD_SOCKET_PATH',
  'FLAGD_OFFLINE_FLAG_SOURCE_PATH',
] as const

const FLAGD_PORTS: readonly number[] = [8013, 8014, 8015, 8016]
const ANY_PORTS: SidecarPorts = { evaluation: 0, management: 0, sync: 0, ofrep: 0 }

/**
 * Where flags come from: the flagd that the environment names; else one that answers on localhost;
 * else a sidecar in this process, on flagd's ports.
 */
export async function openFlagPlace(options: FlagPlaceOptions): Promise<FlagPlace> {
  const { env, flags, isolated = false, onLog } = options
  const ofrep = flagdUrl({ flagd: undefined }, env)
  const elsewhere = { env, detail: undefined, local: false, ofrep, close: async () => {} }
  if (CHOICES.some((name) => (env[name] ?? '') !== '')) return elsewhere
  if (!isolated && (await flagdAnswers())) {
    return { ...elsewhere, detail: 'flagd on localhost:8013 (already running)' }
  }
  const ports = isolated || (await anyTaken(FLAGD_PORTS)) ? ANY_PORTS : {}
  const sidecar = await startSidecar({ file: flags, ports, onLog })
  const where = Object.values(sidecar.ports)
    .toSorted((a, b) => a - b)
    .join(', ')
  return {
    // In-process, as production should run it: decisions need no round trip.
    env: {
      ...env,
      FLAGD_HOST: '127.0.0.1',
      FLAGD_PORT: `${sidecar.ports.sync}`,
      FLAGD_RESOLVER: 'in-process',
    },
    detail: `${displayPath(flags)}, served by the embedded sidecar on ports ${where}`,
    local: true,
    ofrep: `http://127.0.0.1:${sidecar.ports.ofrep}`,
    close: () => sidecar.close(),
  }
}

/** Whether flagd listens on flagd's port: it answers about a flag, known or not, in JSON. */
async function flagdAnswers(): Promise<boolean> {
  try {
    const response = await fetch(
      'http://localhost:8013/flagd.evaluation.v1.Service/ResolveBoolean',
      {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ flagKey: 'use-redis', context: {} }),
        signal: AbortSignal.timeout(1000),
      },
    )
    const answer: unknown = await response.json()
    return typeof answer === 'object' && answer !== null && ('reason' in answer || 'code' in answer)
  } catch {
    return false
  }
}

async function anyTaken(ports: readonly number[]): Promise<boolean> {
  const taken = await Promise.all(ports.map((port) => isReachable({ host: '127.0.0.1', port })))
  return taken.includes(true)
}
