import { existsSync } from 'node:fs'
import { hostname, userInfo } from 'node:os'
import { join } from 'node:path'
import { closestName } from '../../closest.ts'
import { isSwitchbackError, quote, SwitchbackError } from '../../errors.ts'
import {
  defaultFlagdUrl,
  flagNames,
  type FlagsFile,
  type FlagsPlace,
  type HistoryNote,
  lastGoodFile,
  loadFlags,
  parseFlagdUrl,
} from '../../rollout/index.ts'
import { namesInFlags } from './flags-directory.ts'
import { type Environment, usageError } from '../framework/command.ts'

const flag = {
  type: 'string',
  value: 'NAME',
  help: 'the flag (use-redis, or SWITCHBACK_FLAG)',
} as const
const file = {
  type: 'string',
  value: 'FILE',
  help: 'the flags file (SWITCHBACK_FILE, FLAGD_OFFLINE_FLAG_SOURCE_PATH, or the one in flags/)',
} as const
const target = {
  type: 'string',
  value: 'PLACE',
  help: 'configmap/NAME[/KEY], featureflag/NAME or git[:FILE], instead of a file (SWITCHBACK_TARGET)',
} as const
const namespace = {
  type: 'string',
  value: 'NAME',
  help: "with --target: the object's namespace (that of the context, or of this pod)",
} as const
const context = {
  type: 'string',
  value: 'NAME',
  help: 'with --target: the context of the kubeconfig (the current one)',
} as const
const flagd = {
  type: 'string',
  value: 'URL',
  help: "flagd's OFREP address (SWITCHBACK_FLAGD, else the host of FLAGD_HOST, else http://127.0.0.1:8016)",
} as const
const noFlagd = { type: 'boolean', help: 'do not ask flagd what it serves' } as const
const json = { type: 'boolean', help: 'print JSON' } as const

/** Where the flags live. */
interface FileOptions {
  readonly flag: typeof flag
  readonly file: typeof file
  readonly target: typeof target
  readonly namespace: typeof namespace
  readonly context: typeof context
  readonly json: typeof json
}

/** What is there without flags in a file: the options of `switchback doctor`. */
export const whatIsThereOptions: {
  readonly flag: typeof flag
  readonly file: typeof file
  readonly flagd: typeof flagd
  readonly 'no-flagd': typeof noFlagd
  readonly json: typeof json
} = { flag, file, flagd, 'no-flagd': noFlagd, json }

/** The options of a command that looks at the flags file alone. */
export const fileOptions: FileOptions = { flag, file, target, namespace, context, json }

/** Those of another place than a file. */
export const placeOptions: Pick<FileOptions, 'target' | 'namespace' | 'context'> = {
  target,
  namespace,
  context,
}

/** The options by which every other command of a rollout finds its flag, file and flagd. */
export const targetOptions: FileOptions & {
  readonly flagd: typeof flagd
  readonly 'no-flagd': typeof noFlagd
} = { ...fileOptions, flagd, 'no-flagd': noFlagd }

/** The parsed {@link fileOptions}. */
export interface FileValues {
  readonly flag: string | undefined
  readonly file: string | undefined
  readonly target: string | undefined
  readonly namespace: string | undefined
  readonly context: string | undefined
}

/** The parsed {@link targetOptions}. */
export interface TargetValues extends FileValues {
  readonly flagd: string | undefined
  readonly 'no-flagd': boolean
}

/** What a command works on. */
export interface Target {
  readonly flag: string
  /** The flags file, or another place where the flags live. */
  readonly file: FlagsFile
  /** `false`: flagd is not asked. */
  readonly flagd: string | false
  /** The processes read the file themselves, so that there is no flagd. */
  readonly fileMode: boolean
}

/** Options first, then the environment, then the files in `flags/`. */
export async function findTarget(values: TargetValues, env: Environment): Promise<Target> {
  const { flag, file } = await findFlagsFile(values, env)
  return { flag, file, flagd: flagdOf(values, env), fileMode: isFileMode(values, env) }
}

/** For a command that runs for long: another place is read as all others have it. */
export function followed(target: Target, signal: AbortSignal): Target {
  const { file } = target
  if (typeof file === 'string' || file.follow === undefined) return target
  return { ...target, file: file.follow(signal) }
}

/** Of a target, what the options of {@link fileOptions} tell. */
export async function findFlagsFile(
  values: FileValues,
  env: Environment,
): Promise<Pick<Target, 'flag' | 'file'>> {
  const flag = flagName(values, env)
  return { flag, file: (await findPlace(flag, values, env)) ?? (await findFile(flag, values, env)) }
}

/** Loaded only when another place than a file is named. */
async function findPlace(
  flag: string,
  values: FileValues,
  env: Environment,
): Promise<FlagsPlace | undefined> {
  const { namespace, context } = values
  const named = values.target ?? (values.file === undefined ? env['SWITCHBACK_TARGET'] : undefined)
  if (named === undefined || named === '') {
    const alone = namespace === undefined ? context : namespace
    if (alone === undefined) return undefined
    throw usageError(
      `--${namespace === undefined ? 'context' : 'namespace'} without --target`,
      'add --target configmap/NAME, or leave it out',
    )
  }
  if (values.file !== undefined) {
    throw usageError('--target and --file exclude each other', 'give one of them')
  }
  const { openPlace } = await import('../places/open-place.ts')
  const file = (): Promise<string> => findFile(flag, values, env)
  return openPlace({ target: named, flag, namespace, context, env, findFile: file })
}

/** For commands that work without a flags file, as there may still be a flagd. */
export async function findWhatIsThere(
  values: Pick<TargetValues, 'flag' | 'file' | 'flagd' | 'no-flagd'>,
  env: Environment,
): Promise<Omit<Target, 'file'> & { readonly file: string | SwitchbackError }> {
  const flag = flagName(values, env)
  const file = await findFile(flag, values, env).catch((error: unknown) => {
    if (isSwitchbackError(error)) return error
    throw error
  })
  return { flag, file, flagd: flagdOf(values, env), fileMode: isFileMode(values, env) }
}

function flagName({ flag }: Pick<FileValues, 'flag'>, env: Environment): string {
  return flag ?? env['SWITCHBACK_FLAG'] ?? 'use-redis'
}

function flagdOf(values: FlagdValues & Partial<FileValues>, env: Environment): Target['flagd'] {
  if (values['no-flagd'] || isFileMode(values, env)) return false
  // Beside a cluster there is seldom a flagd on this machine, so only a named one is asked.
  const elsewhere = values.target ?? (values.file === undefined ? env['SWITCHBACK_TARGET'] : '')
  const named = values.flagd ?? (env['SWITCHBACK_FLAGD'] || env['FLAGD_HOST'])
  if (elsewhere && !named) return false
  return checkedFlagdUrl(values, env)
}

type FlagdValues = Pick<TargetValues, 'flagd' | 'no-flagd'>

/**
 * As the processes of the application find their flags, unless a flagd is named for this command.
 */
function isFileMode(values: FlagdValues, env: Environment): boolean {
  return values.flagd === undefined && !env['SWITCHBACK_FLAGD'] && offlineFile(env) !== undefined
}

function offlineFile(env: Environment): string | undefined {
  return env['FLAGD_OFFLINE_FLAG_SOURCE_PATH'] || undefined
}

/** Where flagd answers OFREP. */
export function flagdUrl(values: { readonly flagd: string | undefined }, env: Environment): string {
  const host = env['FLAGD_HOST']
  const fromHost = host ? `http://${host.includes(':') ? `[${host}]` : host}:8016` : undefined
  return values.flagd ?? env['SWITCHBACK_FLAGD'] ?? fromHost ?? defaultFlagdUrl
}

/** Refuses an invalid address before a command does anything, and names its source. */
function checkedFlagdUrl(values: FlagdValues, env: Environment): string {
  const url = flagdUrl(values, env)
  try {
    parseFlagdUrl(url)
    return url
  } catch (error) {
    if (!isSwitchbackError(error)) throw error
    const names = { '--flagd': values.flagd, SWITCHBACK_FLAGD: env['SWITCHBACK_FLAGD'] }
    const name = Object.entries(names).find(([, value]) => value === url)?.[0] ?? 'FLAGD_HOST'
    throw new SwitchbackError(error.code, `${name}: ${error.message}`, {
      ...(error.hint === undefined ? {} : { hint: error.hint }),
      cause: error,
    })
  }
}

async function findFile(
  flag: string,
  values: Pick<FileValues, 'file'>,
  env: Environment,
): Promise<string> {
  const named = values.file ?? env['SWITCHBACK_FILE'] ?? offlineFile(env)
  if (named !== undefined) return named
  const having: string[] = []
  const others: string[] = []
  for (const name of await namesInFlags()) {
    const file = join('flags', name)
    const flags = await loadFlags(file).then(flagNames, (): string[] => [])
    others.push(...flags)
    // A file that is broken at the moment may be the one that is meant.
    if (flags.includes(flag) || name === `${flag}.json`) having.push(file)
  }
  // So may one that is gone, if switchback wrote it before.
  if (having.length === 0) {
    const gone = join('flags', `${flag}.json`)
    if (existsSync(lastGoodFile(gone))) return gone
  }
  const near = closestName(flag, others)
  const guess = near === undefined ? '' : `did you mean ${quote(near)}? Else `
  const [only] = having
  if (only !== undefined && having.length === 1) return only
  throw having.length === 0
    ? usageError(`no file in flags/ has the flag ${quote(flag)}`, `${guess}name it with --file`)
    : usageError(`${having.join(' and ')} have the flag ${quote(flag)}`, 'name one with --file')
}

/** The author of a change, for the history. */
export function whoAmI(env: Environment): HistoryNote {
  const user = env['SUDO_USER'] ?? attempt(() => userInfo().username) ?? 'unknown'
  return { who: env['SWITCHBACK_WHO'] ?? `${user}@${hostname()}`, via: 'cli' }
}

/** A user without an entry in the password file has no name. */
function attempt(read: () => string): string | undefined {
  try {
    return read()
  } catch {
    return undefined
  }
}
