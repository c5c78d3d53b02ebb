import { existsSync } from 'node:fs'
import { SwitchbackError, quote } from '../../errors.ts'
import type { Address } from '../../reachable.ts'
import type { Environment } from '../environment.ts'

/** What the environment says about flagd, checked. */
export type FlagdSettings = {
  /** One line each: options that work, but not as they seem to. */
  readonly warnings: readonly string[]
} & (
  | { readonly mode: 'file'; readonly path: string }
  | {
      readonly mode: 'rpc' | 'in-process'
      readonly address: Address
      readonly provider: FlagdProviderSettings
    }
)

/**
 * Options of flagd's provider. The package need not be installed, so its own type is not used here.
 */
export interface FlagdProviderSettings {
  readonly resolverType: 'rpc' | 'in-process'
  readonly host: string
  readonly port: number
  readonly tls: boolean
  readonly socketPath: string | undefined
  readonly certPath: string | undefined
  readonly offlineFlagSourcePath: undefined
  readonly selector: string
  readonly defaultAuthority: string | undefined
  readonly deadlineMs: number
  readonly streamDeadlineMs: number
  readonly cache: 'lru' | 'disabled'
  readonly maxCacheSize: number
  readonly retryBackoffMs: number
  readonly retryBackoffMaxMs: number
  readonly keepAliveTime: number
  readonly fatalStatusCodes: string[]
  readonly retryGracePeriod: number
}

/**
 * Reads the variables of flagd's provider (docs/configuration.md lists them). `FLAGD_RESOLVER` also
 * takes `file`, which the provider itself ignores.
 *
 * @throws SwitchbackError `SB_FLAGS_ENVIRONMENT` for values that cannot work: an unknown resolver,
 * an invalid port, options that contradict one another.
 */
export function readFlagdEnvironment(env: Environment): FlagdSettings {
  const warnings: string[] = []
  const mode = modeOf(env)
  const given = (name: string): boolean => valueOf(env, name) !== undefined
  const ignored = (names: readonly string[], because: string): void => {
    const found = names.filter(given)
    if (found.length > 0) warnings.push(`${found.join(' and ')} ignored: ${because}`)
  }
  if (mode === 'file') {
    ignored(NETWORK, 'FLAGD_OFFLINE_FLAG_SOURCE_PATH reads the flags from a file')
    return { mode, path: valueOf(env, 'FLAGD_OFFLINE_FLAG_SOURCE_PATH') as string, warnings }
  }

  const socketPath = valueOf(env, 'FLAGD_SOCKET_PATH')
  const host = valueOf(env, 'FLAGD_HOST') ?? 'localhost'
  if (socketPath !== undefined) {
    ignored(['FLAGD_HOST', 'FLAGD_PORT', 'FLAGD_SYNC_PORT'], 'FLAGD_SOCKET_PATH is set')
  } else if (mode === 'rpc' && !given('FLAGD_PORT')) {
    ignored(['FLAGD_SYNC_PORT'], 'it is the port of FLAGD_RESOLVER=in-process; rpc uses FLAGD_PORT')
  }
  const port =
    mode === 'rpc'
      ? (numberOf(env, 'FLAGD_PORT', 1, 65_535) ?? 8_013)
      : (numberOf(env, 'FLAGD_SYNC_PORT', 1, 65_535) ??
        numberOf(env, 'FLAGD_PORT', 1, 65_535) ??
        8_015)
  const tls = booleanOf(env, 'FLAGD_TLS')
  if (!tls) ignored(['FLAGD_SERVER_CERT_PATH'], 'FLAGD_TLS is not true')
  const certPath = valueOf(env, 'FLAGD_SERVER_CERT_PATH')
  if (tls && certPath !== undefined && !existsSync(certPath)) {
    throw invalid('FLAGD_SERVER_CERT_PATH', certPath, 'is not a readable file')
  }
  return {
    mode,
    warnings,
    address: socketPath === undefined ? { host, port } : { socketPath },
    provider: {
      resolverType: mode,
      host,
      port,
      tls,
      socketPath,
      certPath,
      offlineFlagSourcePath: undefined,
      selector: valueOf(env, 'FLAGD_SOURCE_SELECTOR') ?? '',
      defaultAuthority: valueOf(env, 'FLAGD_DEFAULT_AUTHORITY'),
      deadlineMs: numberOf(env, 'FLAGD_DEADLINE_MS', 1, 600_000) ?? 500,
      // The provider's default closes a working stream every 10 minutes.
      streamDeadlineMs: numberOf(env, 'FLAGD_STREAM_DEADLINE_MS', 0, 86_400_000) ?? 0,
      cache: valueOf(env, 'FLAGD_CACHE') === 'disabled' ? 'disabled' : 'lru',
      maxCacheSize: numberOf(env, 'FLAGD_MAX_CACHE_SIZE', 1, 10_000_000) ?? 1_000,
      retryBackoffMs: numberOf(env, 'FLAGD_RETRY_BACKOFF_MS', 1, 3_600_000) ?? 1_000,
      retryBackoffMaxMs: numberOf(env, 'FLAGD_RETRY_BACKOFF_MAX_MS', 1, 3_600_000) ?? 5_000,
      // As often as flagd allows. Without pings an in-process provider does not notice a flagd that
      // hangs.
      keepAliveTime: numberOf(env, 'FLAGD_KEEP_ALIVE_TIME_MS', 0, 86_400_000) ?? 30_000,
      fatalStatusCodes: (valueOf(env, 'FLAGD_FATAL_STATUS_CODES') ?? '')
        .split(',')
        .map((code) => code.trim())
        .filter((code) => code !== ''),
      retryGracePeriod: numberOf(env, 'FLAGD_RETRY_GRACE_PERIOD', 0, 86_400) ?? 10,
    },
  }
}

const NETWORK = ['FLAGD_HOST', 'FLAGD_PORT', 'FLAGD_SYNC_PORT', 'FLAGD_SOCKET_PATH', 'FLAGD_TLS']

function modeOf(env: Environment): FlagdSettings['mode'] {
  const path = valueOf(env, 'FLAGD_OFFLINE_FLAG_SOURCE_PATH')
  const resolver = valueOf(env, 'FLAGD_RESOLVER')
  switch (resolver?.toLowerCase()) {
    case undefined:
      // The provider would connect to a flagd on localhost instead.
      return path === undefined ? 'rpc' : 'file'
    case 'in-process':
      return path === undefined ? 'in-process' : 'file'
    case 'rpc':
      if (path === undefined) return 'rpc'
      throw invalid(
        'FLAGD_RESOLVER',
        resolver,
        'contradicts FLAGD_OFFLINE_FLAG_SOURCE_PATH, which rpc does not read',
        'Unset one of the two.',
      )
    case 'file':
      if (path !== undefined) return 'file'
      throw invalid(
        'FLAGD_RESOLVER',
        resolver,
        'needs a file',
        'Set FLAGD_OFFLINE_FLAG_SOURCE_PATH to the flags file.',
      )
    default:
      throw invalid('FLAGD_RESOLVER', resolver, 'is not one of rpc, in-process, file')
  }
}

/** An empty variable counts as not set, as for the provider. */
function valueOf(env: Environment, name: string): string | undefined {
  const value = env[name]
  return value === '' ? undefined : value
}

function numberOf(env: Environment, name: string, min: number, max: number): number | undefined {
  const value = valueOf(env, name)
  if (value === undefined) return undefined
  const number = Number(value)
  if (Number.isInteger(number) && number >= min && number <= max) return number
  throw invalid(name, value, `is not a whole number from ${min} to ${max}`)
}

function booleanOf(env: Environment, name: string): boolean {
  const value = valueOf(env, name)?.toLowerCase()
  if (value === undefined || value === 'true' || value === 'false') return value === 'true'
  throw invalid(name, env[name], 'is not true or false')
}

function invalid(
  name: string,
  value: unknown,
  problem: string,
  hint = 'Correct the variable, or unset it for its default.',
): SwitchbackError {
  return new SwitchbackError('SB_FLAGS_ENVIRONMENT', `${name}=${quote(value)} ${problem}`, { hint })
}
