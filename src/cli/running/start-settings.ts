import { existsSync } from 'node:fs'
import { quote } from '../../errors.ts'
import { type Environment, usageError } from '../framework/command.ts'
import { defaultFlags } from './default-flags.ts'

/** The settings of `switchback start`, from its options or the environment. */
export interface StartSettings {
  readonly port: number | undefined
  readonly host: string
  readonly metricsPort: number | undefined
  readonly metricsHost: string
  readonly flags: string
  /** The option or variable that named the flags; `undefined` for the default. */
  readonly flagsBy: string | undefined
  readonly cacheDirectory: string
  readonly drainMs: number
  readonly latencyMs: number
  readonly logLevel: string | undefined
}

export type OptionStrings = Readonly<Record<string, string | boolean | undefined>>

/** A value and its source: an option, or a variable. */
interface Given {
  readonly name: string
  readonly value: string | undefined
}

/** An option wins over its variable; an empty one counts as not given. */
export function readStartSettings(values: OptionStrings, env: Environment): StartSettings {
  const given = (option: string, variable: string): Given => {
    const own = values[option]
    if (typeof own === 'string') return { name: `--${option}`, value: own || undefined }
    return { name: variable, value: env[variable] || undefined }
  }
  const flags = given('flags', 'SWITCHBACK_FLAGS')
  if (flags.value !== undefined && !existsSync(flags.value)) {
    throw usageError(
      `${flags.name}: ${quote(flags.value)} does not exist`,
      'name a file or directory',
    )
  }
  const port = given('port', 'PORT')
  const metricsPort = given('metrics-port', 'METRICS_PORT')
  const host = given('host', 'HOST').value ?? '127.0.0.1'
  const metricsHost = given('metrics-host', 'METRICS_HOST').value ?? '127.0.0.1'
  if (host === metricsHost || isEverywhere(host) || isEverywhere(metricsHost))
    checkDistinct(port, metricsPort)
  return {
    port: portOf(port),
    host,
    metricsPort: portOf(metricsPort),
    metricsHost,
    flags: flags.value ?? defaultFlags(),
    flagsBy: flags.value === undefined ? undefined : flags.name,
    cacheDirectory: given('cache-dir', 'SWITCHBACK_CACHE_DIR').value ?? '.cache/switchback',
    drainMs: durationOf(given('drain', 'DRAIN_SECONDS'), 10, 'seconds') * 1000,
    latencyMs: durationOf(given('origin-latency', 'ORIGIN_LATENCY_MS'), 25, 'milliseconds'),
    logLevel: levelOf(given('log-level', 'LOG_LEVEL')),
  }
}

function portOf({ name, value }: Given): number | undefined {
  if (value === undefined) return undefined
  if (/^\d{1,5}$/.test(value) && Number(value) <= 65_535) return Number(value)
  throw usageError(`${name} cannot be ${quote(value)}`, 'give a number from 0 to 65535')
}

function isEverywhere(host: string): boolean {
  return host === '0.0.0.0' || host === '::'
}

function checkDistinct(one: Given, other: Given): void {
  const port = portOf(one)
  if (!port || port !== portOf(other)) return
  throw usageError(
    `${one.name} and ${other.name} are both ${port}`,
    'give each listener its own port',
  )
}

function durationOf({ name, value }: Given, fallback: number, unit: string): number {
  if (value === undefined) return fallback
  if (/^\d{1,9}(\.\d+)?$/.test(value)) return Number(value)
  throw usageError(`${name} cannot be ${quote(value)}`, `give a number of ${unit}`)
}

const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']

function levelOf({ name, value }: Given): string | undefined {
  if (value === undefined || LEVELS.includes(value)) return value
  throw usageError(`${name} cannot be ${quote(value)}`, `give one of ${LEVELS.join(', ')}`)
}
