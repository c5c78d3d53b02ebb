import { join } from 'node:path'
import { type Control, startControl } from '../../control/index.ts'
import { parsePlan } from '../../guard/index.ts'
import type { Environment } from '../framework/command.ts'
import { guardBeside } from '../controlling/guard-beside.ts'
import { whoAmI } from '../changing/target.ts'
import { pickPort, type PickedPort } from './pick-port.ts'
import { sampleTraffic } from './sample-traffic.ts'
import { FLAG } from './stack.ts'

export interface CompanionsOptions {
  readonly env: Environment
  /** A flags file, or the directory of `use-redis.json`. */
  readonly flags: string
  /** Where the flag source answers OFREP. */
  readonly ofrep: string
  readonly url: string
  readonly metricsUrl: string
  readonly control: boolean
  readonly traffic: boolean
  readonly log: (message: string) => void
}

/** What runs with the reference service on a laptop: the control page and some traffic. */
export interface Companions {
  readonly control: { readonly url: string; readonly port: PickedPort } | undefined
  close(): Promise<void>
}

/** Starts the wanted companions. The guard of the page only watches. */
export async function startCompanions(options: CompanionsOptions): Promise<Companions> {
  const { env, flags, ofrep, url, metricsUrl, log } = options
  const stop = new AbortController()
  const { signal } = stop
  const traffic = options.traffic ? sampleTraffic({ url, signal }) : undefined
  const close = async (control?: Control, guard?: { done: Promise<void> }): Promise<void> => {
    stop.abort()
    await Promise.all([control?.close(), guard?.done, traffic])
  }
  if (!options.control) return { control: undefined, close: () => close() }

  const target = {
    flag: FLAG,
    file: flags.endsWith('.json') ? flags : join(flags, `${FLAG}.json`),
    flagd: ofrep,
  }
  const { who } = whoAmI(env)
  const plan = parsePlan('')
  const replicas = [metricsUrl]
  const guard = guardBeside({
    mode: 'watch',
    target,
    plan: { ...plan, sources: { ...plan.sources, replicas } },
    name: `guard of ${who}`,
    signal,
    say: log,
  })
  try {
    const port = await pickPort({
      host: '127.0.0.1',
      asked: undefined,
      preferred: 3001,
      option: '',
    })
    const control = await startControl({
      ...target,
      replicas,
      guard,
      port: port.port,
      operator: who,
      onAudit: ({ action, outcome, who: by }) =>
        log(`${action} by ${by === '' ? who : by}: ${outcome}`),
    })
    return { control: { url: control.url, port }, close: () => close(control, guard) }
  } catch (error) {
    await close(undefined, guard)
    throw error
  }
}
