import { quote, SwitchbackError } from '../../errors.ts'
import { sidesProblem } from '../check/check-sides.ts'
import { readsTime } from '../../flagfile/index.ts'
import { type FlagsDocument, type Position, property, valueOf } from '../file/document.ts'
import { flagNode } from '../file/flag-members.ts'
import type { Pilot } from '../file/edit.ts'
import { inline } from '../file/edit.ts'
import { whyFailing } from '../edits/not-back.ts'
import { readPilot } from '../edits/pilot.ts'
import { percentOf, shareOf } from './share.ts'
import { type Shape, shapeOf, type Segment } from './shape.ts'
import { sidesOf, type Split } from './split.ts'

/** A flag as `status` describes it. */
export interface Description {
  readonly flag: string
  readonly state: string
  readonly shape: Shape['kind']
  /** Why the shape is not understood, and where; only with `unknown`. */
  readonly reason?: string
  readonly at?: Position
  /** The `on` share of those who reach the split, in per cent; `undefined` with `unknown`. */
  readonly share: number | undefined
  readonly weights?: { readonly on: number; readonly off: number }
  readonly defaultVariant: string | undefined
  /** The variants that stand for the two sides. */
  readonly on: string
  readonly off: string
  readonly pilots: readonly Pilot[]
  /** The rule depends on the time, so that its result changes without an edit. */
  readonly movesByItself: boolean
  /** Why no app can use the flag, as `validate` says it: its variants are not true and false, or its rule fails. */
  readonly problem?: { readonly code: string; readonly message: string; readonly hint: string }
  /** Who gets what and why, in one sentence. */
  readonly sentence: string
}

/**
 * Describes a flag: its shape, its share, and who gets what.
 *
 * @throws {SwitchbackError} `SB_FLAG_UNKNOWN`.
 */
export function describe(document: FlagsDocument, flag: string): Description {
  const definition = flagNode(document, flag)
  const sides = sidesOf(definition) ?? { on: 'on', off: 'off' }
  const shape = shapeOf(document, flag)
  const share = shareOf(definition, shape, sidesOf(definition))
  const split = shape.kind === 'unknown' || shape.kind === 'none' ? undefined : shape.split
  const segments = shape.kind === 'segment first' || shape.kind === 'nested' ? shape.segments : []
  const defaultNode = property(definition, 'defaultVariant')
  // flagd takes an empty name for none.
  const named = defaultNode?.type === 'string' && defaultNode.value !== ''
  const defaultVariant = named ? String(defaultNode.value) : undefined
  const disabled = property(definition, 'state')?.value === 'DISABLED'
  const moving = readsTime(valueOf(property(definition, 'targeting') ?? definition))
  const common = {
    flag,
    state: disabled ? 'DISABLED' : 'ENABLED',
    shape: shape.kind,
    defaultVariant,
    movesByItself: moving,
    ...sides,
    pilots: segments.flatMap((segment) =>
      segment.variant === sides.on ? (readPilot(segment) ?? []) : [],
    ),
  }
  const unusable = sidesProblem(flag, definition) ?? failingProblem(document, flag, disabled)
  const sentence = disabled
    ? 'Disabled: every caller gets the default of its own code, which is the old side in Switchback.'
    : unusable?.code === 'SB_FLAG_BROKEN'
      ? 'Its rule fails, for some users at least: they keep the side known last, else get the old one.'
      : unusable !== undefined
        ? 'No app can use it, whatever the rule says: each user keeps the side known last, else gets the old one.'
        : sentenceOf(shape, { ...common, share, segments }) + (moving ? MOVING : '')
  return {
    ...common,
    share: share === undefined ? undefined : percentOf(share),
    ...(split === undefined ? {} : { weights: { on: split.on.weight, off: split.off.weight } }),
    ...(shape.kind === 'unknown' ? { reason: shape.reason, at: shape.at } : {}),
    ...(unusable === undefined ? {} : { problem: problemFrom(unusable) }),
    sentence,
  }
}

/** A rule that fails has a share on paper only. */
function failingProblem(
  document: FlagsDocument,
  flag: string,
  disabled: boolean,
): SwitchbackError | undefined {
  const why = disabled ? '' : whyFailing(document, flag)
  if (why === '') return undefined
  return new SwitchbackError('SB_FLAG_BROKEN', `its rule fails: ${why}`, {
    hint: 'switchback validate shows the place; switchback rollback disables the flag, and everyone gets the old side',
  })
}

function problemFrom({
  code,
  message,
  hint = '',
}: SwitchbackError): NonNullable<Description['problem']> {
  return { code, message, hint }
}

const MOVING = ' This changes without an edit: the rule depends on the time.'

interface SentenceParts {
  readonly on: string
  readonly defaultVariant: string | undefined
  readonly share: number | undefined
  readonly segments: readonly Segment[]
}

function sentenceOf(shape: Shape, parts: SentenceParts): string {
  const { on, defaultVariant, share = 0, segments } = parts
  const fallback = defaultVariant === undefined ? 'the default of the code' : quote(defaultVariant)
  if (shape.kind === 'none') return `Everyone gets ${fallback}, because there is no targeting.`
  if (shape.kind === 'unknown') return `Not understood: ${shape.reason}.`
  if (shape.split.total === 0) {
    return `Everyone who reaches the split gets ${fallback}, because both weights are 0.`
  }
  const whom =
    shape.kind === 'plain'
      ? 'users'
      : shape.kind === 'nested'
        ? 'those who reach the split'
        : 'the others'
  const first = segments.map(
    (segment) => `${conditionText(segment)} gets ${quote(segment.variant)}`,
  )
  const rest = `${percentOf(share)} % of ${whom} get ${quote(on)}, ${bucketedBy(shape.split, fallback)}.`
  return first.length === 0 ? rest : `${first.join(', ')}; ${rest}`
}

/** Users without the attribute are bucketed by the targeting key, as without an expression. */
function bucketedBy({ bucketing }: Split, fallback: string): string {
  const byKey = `by targeting key; without one, ${fallback}`
  if (bucketing === undefined || bucketing.type === 'null') return byKey
  const by = `by ${inline(valueOf(bucketing))}`
  return property(bucketing, 'var') === undefined ? by : `${by}; those without it ${byKey}`
}

function conditionText(segment: Segment): string {
  const pilot = readPilot(segment)
  if (pilot === undefined) return `A user who meets ${inline(valueOf(segment.condition))}`
  const shown = pilot.values.slice(0, 3).map(quote).join(', ')
  const more = pilot.values.length > 3 ? ` and ${pilot.values.length - 3} more` : ''
  return `A user with ${pilot.attribute} ${shown}${more}`
}
