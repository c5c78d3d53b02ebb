import { quote } from '../../errors.ts'
import { type Environment, usageError } from '../command.ts'
import { defaultFlags } from './default-flags.ts'

/** What `switchback start` was asked for, by its options or the environment. */
export interface StartSettings {
  readonly port: number | undefined
  readonly host: string
  readonly metricsPort: number | undefined
  readonly metricsHost: string
  readonly flags: string
  readonly cacheDirectory: string
  readonly drainMs: number
  readonly latencyMs: number
  readonly logLevel: string | undefined
}

export type OptionStrings = Readonly<Record<string, string | boolean | undefined>>

/** An option wins over its variable; an empty one counts as not given. */
export function readStartSettings(values: OptionStrings, env: Environment): StartSettings {
  const setting = (option: string, variable: string): string | undefined => {
    const value = values[option] ?? env[variable]
    return value === '' || typeof value === 'boolean' ? undefined : value
  }
  return {
    port: portOf('--port', setting('port', 'PORT')),
    host: setting('host', 'HOST') ?? '127.0.0.1',
    metricsPort: portOf('--metrics-port', setting('metrics-port', 'METRICS_PORT')),
    metricsHost: setting('metrics-host', 'METRICS_HOST') ?? '127.0.0.1',
    flags: setting('flags', 'SWITCHBACK_FLAGS') ?? defaultFlags(),
    cacheDirectory: setting('cache-dir', 'SWITCHBACK_CACHE_DIR') ?? '.cache/switchback',
    drainMs: durationOf('--drain', setting('drain', 'DRAIN_SECONDS') ?? '10', 'seconds') * 1000,
    latencyMs: durationOf(
      '--origin-latency',
      setting('origin-latency', 'ORIGIN_LATENCY_MS') ?? '25',
      'milliseconds',
    ),
    logLevel: levelOf(setting('log-level', 'LOG_LEVEL')),
  }
}

function portOf(option: string, value: string | undefined): number | undefined {
  if (value === undefined) return undefined
  if (/^\d{1,5}$/.test(value) && Number(value) <= 65_535) return Number(value)
  throw usageError(`${option} cannot be ${quote(value)}`, 'give a number from 0 to 65535')
}

function durationOf(option: string, value: string, unit: string): number {
  if (/^\d{1,9}(\.\d+)?$/.test(value)) return Number(value)
  throw usageError(`${option} cannot be ${quote(value)}`, `give a number of ${unit}`)
}

const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']

function levelOf(value: string | undefined): string | undefined {
  if (value === undefined || LEVELS.includes(value)) return value
  throw usageError(`--log-level cannot be ${quote(value)}`, `give one of ${LEVELS.join(', ')}`)
}
