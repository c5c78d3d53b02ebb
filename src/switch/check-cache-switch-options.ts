import type { CacheBackend } from '../cache/index.ts'
import { parseTtl } from '../cache/index.ts'
import { checkNames, type NamesOf, requireOption } from '../options.ts'
import { checkBreaker } from './sides/check-breaker.ts'
import { type CacheSwitchOptions, STANDBY_POLICIES } from './options.ts'
import { checkJitter } from './values.ts'

const OPTIONS: NamesOf<CacheSwitchOptions> = {
  flag: true,
  flags: true,
  decider: true,
  off: true,
  on: true,
  name: true,
  standby: true,
  retire: true,
  defaultTtl: true,
  ttlJitter: true,
  codec: true,
  maxValueBytes: true,
  deadlineMs: true,
  breaker: true,
  originConcurrency: true,
  originQueue: true,
  loadMs: true,
  maxOwed: true,
  compareShare: true,
  maxBackground: true,
  telemetry: true,
  onEvent: true,
}

/** The least of each, and what it is without being given. */
const LIMITS = {
  maxValueBytes: [1, '1 MiB'],
  originConcurrency: [1, '64'],
  originQueue: [1, '10,000'],
  loadMs: [1, '30,000'],
  maxOwed: [0, '10,000'],
  maxBackground: [0, '64'],
} as const

const METHODS = ['read', 'write', 'invalidate', 'clear', 'now', 'ping', 'close'] as const

/** @throws SwitchbackError `SB_OPTION_INVALID` */
export function checkCacheSwitchOptions(options: CacheSwitchOptions): void {
  const call = 'createCacheSwitch'
  checkNames(call, options, OPTIONS)
  const require = (holds: boolean, option: string, value: unknown, hint: string): void =>
    requireOption(holds, call, option, value, hint)
  const { off, on, deadlineMs, standby, retire, breaker, codec, name, compareShare } = options
  for (const side of ['off', 'on'] as const) {
    const missing = missingMethods(options[side])
    const which = side === 'off' ? 'old' : 'new'
    const lacks = missing.length < METHODS.length ? `it lacks ${missing.join(', ')}; ` : ''
    const hint = `${lacks}give the ${which} side, e.g. fileCache({ directory }) or redisCache({ url })`
    require(missing.length === 0, side, options[side], hint)
    const given = typeof deadlineMs === 'object' ? deadlineMs?.[side] : deadlineMs
    require(atLeast(
      given ?? 1,
      Number.MIN_VALUE,
    ), 'deadlineMs', deadlineMs, 'give milliseconds above 0, or { off, on }; it is 100 without')
  }
  require(off !== on, 'on', 'the same store as off', 'make two backends, one for each side')
  require(standby === undefined ||
    STANDBY_POLICIES.some((policy) => policy === standby) ||
    (typeof standby === 'object' &&
      typeof standby?.flag ===
        'string'), 'standby', standby, `give ${STANDBY_POLICIES.join(', ')}, or { flag } with the key of a string flag`)
  require([undefined, 'off', 'on'].includes(
    retire,
  ), 'retire', retire, 'give off or on: the side that leaves')
  require(compareShare === undefined ||
    (atLeast(compareShare, 0) &&
      compareShare <=
        1), 'compareShare', compareShare, 'give a share from 0 to 1; it is 0.01 without')
  require(name === undefined ||
    (typeof name === 'string' && name !== ''), 'name', name, 'give a text that is not empty')
  const usable = typeof codec?.encode === 'function' && typeof codec.decode === 'function'
  require(codec === undefined || usable, 'codec', codec, 'give an object with encode and decode')
  for (const [limit, [least, usual]] of Object.entries(LIMITS)) {
    const value = options[limit as keyof typeof LIMITS]
    require(value === undefined ||
      atLeast(
        value,
        least,
      ), limit, value, `give a number of at least ${least}; it is ${usual} without`)
  }
  if (breaker !== undefined) {
    checkBreaker(call, breaker, (holds, option, value, right) =>
      requireOption(holds, `${call}: breaker`, option, value, `give ${right}`),
    )
  }
  if (options.defaultTtl !== undefined) parseTtl(options.defaultTtl)
  checkJitter('createCacheSwitch', 'ttlJitter', options.ttlJitter ?? 0)
}

function atLeast(value: unknown, least: number): boolean {
  return typeof value === 'number' && value >= least
}

function missingMethods(backend: Partial<CacheBackend> | undefined): readonly string[] {
  return METHODS.filter((method) => typeof backend?.[method] !== 'function')
}
