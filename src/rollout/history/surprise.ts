import type { FlagsDocument } from '../file/document.ts'
import { createEvaluator, syntheticUser, type UserContext } from '../users/evaluate.ts'
import { flagNode } from '../file/flag-members.ts'
import { sidesOf } from '../split/split.ts'
import { validate } from '../check/validate.ts'

/** Enough to see whom a swap or another bucketing key moves, and quick: some ten milliseconds. */
const SAMPLE = 1000

/**
 * Whether an edit moved users who should have stayed: users who left the new side although its
 * share grew or stayed, users who joined it although it shrank, or more than the shares explain.
 * That is what swapped entries and another bucketing key do.
 *
 * @param shares the `on` shares in percent before and after, where the rule has them
 * @returns one sentence; `''` when only those moved whom the shares explain
 */
export function surprise(
  before: FlagsDocument,
  after: FlagsDocument,
  flag: string,
  shares: { readonly from: number | undefined; readonly to: number | undefined },
): string {
  const moved = sample(before, after, flag)
  if (moved === undefined) return ''
  const { joins, leaves, wasOn, isOn } = moved
  const percent = (users: number): number => (users / SAMPLE) * 100
  const { from = percent(wasOn), to = percent(isOn) } = shares
  const explained = (Math.abs(to - from) / 100) * SAMPLE
  const most = explained + 3 * Math.sqrt(explained) + SAMPLE / 200
  const grew = to > from ? 'grew' : 'did not change'
  let what: string
  if (to >= from && leaves > 0) what = `${leaves} left the new side although its share ${grew}`
  else if (to < from && joins > 0) what = `${joins} joined the new side although its share shrank`
  else if (joins + leaves > most) {
    what = `${joins + leaves} changed sides, more than a change from ${from} % to ${to} % explains`
  } else return ''
  return `of ${SAMPLE.toLocaleString('en-US')} sample users ${what}${causeOf(before, after, flag)}`
}

interface Movers {
  readonly joins: number
  readonly leaves: number
  readonly wasOn: number
  readonly isOn: number
}

/** `undefined` where the flag cannot be evaluated before or after. */
function sample(before: FlagsDocument, after: FlagsDocument, flag: string): Movers | undefined {
  try {
    const [askBefore, askAfter] = [createEvaluator(before, flag), createEvaluator(after, flag)]
    const [makeBefore, makeAfter] = [syntheticUser(before, flag), syntheticUser(after, flag)]
    const onBefore = sidesOf(flagNode(before, flag))?.on ?? 'on'
    const onAfter = sidesOf(flagNode(after, flag))?.on ?? 'on'
    const moved = { joins: 0, leaves: 0, wasOn: 0, isOn: 0 }
    for (let index = 0; index < SAMPLE; index++) {
      // With the attributes of both bucketing keys.
      const user = { ...context(makeBefore(index)), ...context(makeAfter(index)) }
      const was = askBefore(user) === onBefore
      const is = askAfter(user) === onAfter
      if (was) moved.wasOn++
      if (is) moved.isOn++
      if (is && !was) moved.joins++
      if (was && !is) moved.leaves++
    }
    return moved
  } catch {
    // The flag was added or removed, or cannot be evaluated: validate and status report that.
    return undefined
  }
}

function context(user: string | UserContext): UserContext {
  return typeof user === 'string' ? { targetingKey: user } : user
}

/** The place and the reason, where the two texts show it. */
function causeOf(before: FlagsDocument, after: FlagsDocument, flag: string): string {
  const found = validate(after.text, { before: before.text }).find(
    (finding) =>
      finding.flag === flag && ['order-changed', 'bucketing-changed'].includes(finding.code),
  )
  return found === undefined ? '' : ` (line ${found.line}: ${found.message})`
}
