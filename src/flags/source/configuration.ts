import type { Provider } from '@openfeature/server-sdk'

/** What a provider knows of the configuration in force. */
export interface ConfigurationState {
  /** Epoch milliseconds since when it is in force; `undefined` while there is none. */
  readonly since: number | undefined
  /** The hash of what decides a flag; `undefined` for a flag that is not there. */
  hashOf(flag: string): string | undefined
  /** The latest configuration was refused; the last good one stays in force. */
  readonly refused: Refusal | undefined
}

export interface Refusal {
  readonly reason: string
  /** Epoch milliseconds. */
  readonly since: number
}

/** A provider that can tell; those of other vendors cannot. */
export interface ConfiguredProvider extends Provider {
  configuration(): ConfigurationState | undefined
}

/** Never throws: somebody else's provider may have a method of this name. */
export function configurationOf(provider: Provider): ConfigurationState | undefined {
  const { configuration } = provider as Partial<ConfiguredProvider>
  if (typeof configuration !== 'function') return undefined
  try {
    const state: Partial<ConfigurationState> | undefined = configuration.call(provider)
    return typeof state?.hashOf === 'function' ? (state as ConfigurationState) : undefined
  } catch {
    return undefined
  }
}

/** A refusal is reported in one line, not as a whole flags file. */
const MAX_REASON = 200

/** The configuration in force, as far as one flag goes. */
export interface FlagConfiguration {
  /** Of what decides the flag: equal wherever the same is in force. `''`: there is no such flag. */
  readonly hash: string
  /** Epoch milliseconds since when it is in force; `undefined` while there is none. */
  readonly since: number | undefined
  /** Why the latest configuration is not in force, and since when. */
  readonly refused: Refusal | undefined
}

export function flagConfiguration(
  state: ConfigurationState | undefined,
  flag: string,
): FlagConfiguration | undefined {
  if (state === undefined) return undefined
  const { since, refused } = state
  return {
    hash: state.hashOf(flag) ?? '',
    since,
    refused: refused && { since: refused.since, reason: oneLine(refused.reason) },
  }
}

/** One line for people: the latest configuration is not the one that decides. */
export function refusalDetail({ since, refused }: ConfigurationState): string {
  if (refused === undefined) return ''
  if (since === undefined) return `no flags are in force: ${oneLine(refused.reason)}`
  const when = new Date(refused.since).toISOString()
  return `serving the last good flags since ${when}: ${oneLine(refused.reason)}`
}

function oneLine(reason: unknown): string {
  const text = String(reason).replaceAll(/\s+/g, ' ').trim()
  return text.length > MAX_REASON ? `${text.slice(0, MAX_REASON - 3)}...` : text
}
