import { prefixOf, stateNameOf } from '../../cache/index.ts'
import { quote } from '../../errors.ts'
import { clusterAt } from './open-redis.ts'
import { connected, isClusterNode } from './look.ts'
import { type NamedRedis, optionOf, type RedisSettings } from './options.ts'

/** The part of a client that reads a state. */
interface Asked {
  hmget(name: string, field: string): Promise<(string | null)[]>
}

/** A switch whose state is in a Redis. */
export interface KnownState {
  readonly values: 'cells' | 'plain'
  readonly prefix: string
}

/** What is in a Redis of switches that these settings may mean. */
export interface KnownStates {
  readonly isCluster: boolean
  readonly found: readonly KnownState[]
}

/** @throws {SwitchbackError} `SB_REDIS_UNREACHABLE` */
export async function knownStates({ url, settings }: NamedRedis): Promise<KnownStates> {
  const lone = await connected(url, async (redis) =>
    (await isClusterNode(redis)) ? undefined : statesIn(redis, settings),
  )
  if (lone !== undefined) return { isCluster: false, found: lone }
  const cluster = clusterAt(url)
  try {
    // Of the master that has it, this is the name of the state.
    return { isCluster: true, found: await statesIn(cluster, settings, '{0}') }
  } finally {
    cluster.disconnect()
  }
}

/** Under this prefix and under the usual ones, of both kinds. */
export async function statesIn(
  redis: Asked,
  { prefix }: RedisSettings,
  suffix: string = '',
): Promise<readonly KnownState[]> {
  const found = new Map<string, KnownState>()
  for (const values of ['cells', 'plain'] as const) {
    for (const tried of [prefix ?? prefixOf({ values }), prefixOf({ values })]) {
      const state = { values, prefix: tried }
      const name = stateNameOf(state)
      // What this user may not read, or another program has there, is not known to be a state.
      const [last = null] = await redis.hmget(name + suffix, 'last').catch(() => [null])
      if (last !== null) found.set(name, state)
    }
  }
  return [...found.values()]
}

/** Why it is not known which switch is meant, and which options say it; `undefined` when it is known. */
export function doubtAbout(
  { side, shown, settings }: NamedRedis,
  found: readonly KnownState[],
): { readonly what: string; readonly remedy: string } | undefined {
  const meant = meantBy(settings)
  const isThere = found.some((each) => stateNameOf(each) === stateNameOf(meant))
  const others = found.filter((each) => stateNameOf(each) !== stateNameOf(meant))
  const plain = others.find(({ values }) => values === 'plain')
  const values = optionOf(side, 'values')
  if (isThere) {
    if (settings.values !== undefined || plain === undefined) return undefined
    return {
      what: `${shown} has the state of two switches: ${textOf(meant)}, and ${textOf(plain)}`,
      remedy: `say which one is meant: add ${values} cells, or ${optionsFor(side, plain, meant)}`,
    }
  }
  const what = `no switch with ${textOf(meant)} has used ${shown}`
  const other = plain ?? others[0]
  if (other === undefined) {
    const rest = `${optionOf(side, 'prefix')} and ${values}`
    return { what, remedy: `give ${optionOf(side, 'redis')}, ${rest} as the service has them` }
  }
  return {
    what: `${what}, but one with ${textOf(other)}`,
    remedy: `if that is the service, give ${optionsFor(side, other, meant)}`,
  }
}

export function stateText(settings: RedisSettings): string {
  return textOf(meantBy(settings))
}

function meantBy(settings: RedisSettings): KnownState {
  return { values: settings.values ?? 'cells', prefix: prefixOf(settings) }
}

function textOf({ values, prefix }: KnownState): string {
  return `${values === 'plain' ? 'plain values' : 'values of its own (cells)'} under the prefix ${quote(prefix)}`
}

/** `--old-values plain --old-prefix=`: what has to be said to mean another switch. */
function optionsFor(side: NamedRedis['side'], to: KnownState, from: KnownState): string {
  const parts = to.values === from.values ? [] : [`${optionOf(side, 'values')} ${to.values}`]
  // Where none is given, the usual prefix goes with the kind.
  if (to.prefix !== from.prefix && from.prefix !== prefixOf({ values: from.values })) {
    parts.push(`${optionOf(side, 'prefix')}${to.prefix === '' ? '=' : ` ${to.prefix}`}`)
  }
  return parts.join(' ')
}
