import { closestName } from './closest.ts'
import { quote, SwitchbackError } from './errors.ts'

/** The names of all options of `Options`, written out so that the compiler finds one that is missing. */
export type NamesOf<Options> = Readonly<Record<keyof Options, true>>

/**
 * Refuses what is not an object of options, and a name that nobody reads: in plain JavaScript a slip of the
 * pen would otherwise leave the default in force without a word.
 *
 * @param call what the user called, e.g. `redisCache`
 * @throws SwitchbackError `SB_OPTION_INVALID`
 */
export function checkNames(call: string, options: unknown, names: NamesOf<object>): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw invalidOptions(`${call} needs an object of options; got ${quote(options)}`, names)
  }
  for (const name of Object.keys(options)) {
    if (!Object.hasOwn(names, name) && !isGone(`${call}: ${name}`)) {
      throw invalidOptions(`${call} has no option ${quote(name)}`, names, name)
    }
  }
}

/** Options that are gone and whose use does no harm: what is there instead. */
const GONE: ReadonlyMap<string, string> = new Map([
  ['fileCache: onWarning', 'warnings are events of the cache, see onEvent of createCacheSwitch'],
  ['redisCache: onWarning', 'warnings are events of the cache, see onEvent of createCacheSwitch'],
  ['createCacheSwitch: fleet', 'machines that share a Redis find each other there'],
])
const told = new Set<string>()

/** An upgrade does not stop a service for them: each is told once. */
function isGone(option: string): boolean {
  const instead = GONE.get(option)
  if (instead === undefined) return false
  if (!told.has(option)) console.warn(`switchback: ${option} does nothing any more: ${instead}`)
  told.add(option)
  return true
}

function invalidOptions(message: string, names: object, given = ''): SwitchbackError {
  const known = Object.keys(names)
  const near = given === '' ? undefined : closestName(given, known)
  const hint = near === undefined ? `its options are ${known.join(', ')}` : `did you mean ${near}?`
  return new SwitchbackError('SB_OPTION_INVALID', message, { hint })
}

/**
 * @param hint what to give instead
 * @throws SwitchbackError `SB_OPTION_INVALID` unless it holds
 */
export function requireOption(
  holds: boolean,
  call: string,
  option: string,
  value: unknown,
  hint: string,
): asserts holds {
  if (holds) return
  // JSON has no word for these.
  const text = typeof value === 'number' ? String(value) : quote(value)
  throw new SwitchbackError('SB_OPTION_INVALID', `${call}: ${option} cannot be ${text}`, { hint })
}
