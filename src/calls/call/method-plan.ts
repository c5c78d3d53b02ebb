import { isDeepStrictEqual } from 'node:util'
import { requireOption } from '../../options.ts'
import { Deadlines, LONGEST_TIMER_MS } from '../../switch/index.ts'
import type { CallRecorder } from '../../telemetry/index.ts'
import type { Side } from '../../side.ts'
import type { CompareOptions, PlainCall, ReadCall, WriteCall } from '../options.ts'

/** One method with everything that its calls need, worked out once. */
export interface MethodPlan {
  readonly name: string
  readonly returns: 'promise' | 'value' | 'stream'
  /** The other side serves when the picked one fails. */
  readonly fallsBack: boolean
  readonly toBoth: boolean
  readonly signal: number | undefined
  readonly deadlines: Readonly<Record<Side, Deadlines>>
  readonly compare: ComparePlan | undefined
  readonly recorder: CallRecorder | undefined
}

export interface ComparePlan extends Required<Omit<CompareOptions, 'deadlineMs'>> {
  readonly deadlines: Readonly<Record<Side, Deadlines>>
}

export interface PlanParts {
  readonly deadlineMs: number
  /** What the two sides are called. */
  readonly labels: Readonly<Record<Side, string>>
  readonly recorder: () => CallRecorder | undefined
}

export type GivenMethod = (PlainCall | ReadCall | WriteCall) & { readonly returns?: string }

interface Given {
  readonly kind?: string
  readonly returns?: string
  readonly deadlineMs?: number
}

/** @throws {SwitchbackError} `SB_OPTION_INVALID` for an option that cannot work */
export function planOf(
  name: string,
  given: GivenMethod,
  { deadlineMs, labels, recorder }: PlanParts,
): MethodPlan {
  check(name, given)
  const ms = given.deadlineMs ?? deadlineMs
  const returns = (given.returns ?? 'promise') as MethodPlan['returns']
  const read = given.kind === 'read' ? given : undefined
  const write = given.kind === 'write' ? given : undefined
  const deadlines = deadlinesOf(name, ms, labels)
  const compare = read?.compare && comparePlan(name, read.compare, ms, labels)
  let counts: CallRecorder | undefined
  let asked = false
  return {
    name,
    returns,
    fallsBack: read?.fallback === true || write?.idempotent === true,
    toBoth: write?.to === 'both',
    signal: given.signal,
    deadlines,
    compare,
    // A method that is never called has no series.
    get recorder() {
      if (!asked) counts = recorder()
      asked = true
      return counts
    },
  }
}

function comparePlan(
  name: string,
  given: CompareOptions,
  deadlineMs: number,
  labels: PlanParts['labels'],
): ComparePlan {
  const { share = 0.01, equal = isDeepStrictEqual, reveal = false } = given
  requireThat(share >= 0 && share <= 1, `${name}.compare.share`, share, 'a number from 0 to 1')
  requireThat(typeof equal === 'function', `${name}.compare.equal`, equal, 'a function')
  const ms = given.deadlineMs ?? deadlineMs
  requireMs(`${name}.compare.deadlineMs`, ms)
  return { share, equal, reveal, deadlines: deadlinesOf(name, ms, labels) }
}

function deadlinesOf(
  name: string,
  ms: number,
  labels: PlanParts['labels'],
): MethodPlan['deadlines'] {
  return {
    off: new Deadlines(ms, `${name} on ${labels.off}`),
    on: new Deadlines(ms, `${name} on ${labels.on}`),
  }
}

const KINDS = ['call', 'read', 'write']
const RETURNS = ['promise', 'value', 'stream']
/** What may be given, and to which kind; undefined: to all. */
const KNOWN: Readonly<Record<string, string | undefined>> = {
  kind: undefined,
  returns: undefined,
  deadlineMs: undefined,
  signal: undefined,
  fallback: 'read',
  compare: 'read',
  to: 'write',
  idempotent: 'write',
}

function check(name: string, given: Given): void {
  requireThat(typeof given === 'object' && given !== null, name, given, 'an object of options')
  const { kind = 'call', returns = 'promise', deadlineMs = 1 } = given
  requireThat(KINDS.includes(kind), `${name}.kind`, kind, KINDS.join(', '))
  requireThat(RETURNS.includes(returns), `${name}.returns`, returns, RETURNS.join(', '))
  requireMs(`${name}.deadlineMs`, deadlineMs)
  for (const [option, value] of Object.entries(given)) {
    if (value === undefined) continue
    const known = Object.keys(KNOWN)
    requireThat(known.includes(option), `${name}.${option}`, value, known.join(', '))
    const only = KNOWN[option]
    requireThat(only === undefined || only === kind, `${name}.${option}`, value, `kind: '${only}'`)
  }
  const { to = 'picked', signal = 0 } = given as { to?: string; signal?: number }
  requireThat(to === 'picked' || to === 'both', `${name}.to`, to, 'picked or both')
  requireThat(
    Number.isInteger(signal) && signal >= 0,
    `${name}.signal`,
    signal,
    'an index from 0 on',
  )
  const { idempotent = false } = given as { idempotent?: boolean }
  const twice = to === 'both' && (idempotent || returns === 'stream')
  requireThat(!twice, `${name}.to`, to, 'a write that is neither idempotent nor a stream')
  const streamed = returns === 'stream' && 'compare' in given
  requireThat(!streamed, `${name}.compare`, 'a stream', 'a method that returns no stream')
}

export function requireMs(option: string, ms: unknown): void {
  const fits = typeof ms === 'number' && ms > 0 && ms <= LONGEST_TIMER_MS
  requireThat(fits, option, ms, `milliseconds above 0, at most ${LONGEST_TIMER_MS}`)
}

/** @param right what the option takes */
export function requireThat(
  holds: boolean,
  option: string,
  value: unknown,
  right: string,
): asserts holds {
  requireOption(holds, 'createSwitch', option, value, `it takes ${right}`)
}
