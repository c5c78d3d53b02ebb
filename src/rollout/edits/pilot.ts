import { quote, SwitchbackError } from '../../errors.ts'
import {
  type FlagsDocument,
  type JsonNode,
  type JsonPath,
  type JsonValue,
  pathOf,
  property,
  sourceTextOf,
  valueOf,
} from '../file/document.ts'
import { flagNode } from '../file/flag-members.ts'
import { type Change, changeAt, type FlagsEdit, inline, type Pilot } from '../file/edit.ts'
import { finish, unknownShape } from './set-share.ts'
import { shareOf } from '../split/share.ts'
import { type Segment, shapeOf } from '../split/shape.ts'
import { sidesOf } from '../split/split.ts'

export interface PilotOptions {
  readonly flag: string
  readonly attribute: string
  /** The values that get `on`; they replace those of a pilot on the same attribute. */
  readonly values: readonly string[]
}

/**
 * Puts a segment in front of the split: users whose attribute has one of the values get `on`, all
 * others are split as before, in the same buckets.
 *
 * @throws {SwitchbackError} `SB_SHAPE_UNKNOWN`, `SB_PILOT_INVALID`, `SB_FLAG_UNKNOWN`.
 */
export function addPilot(document: FlagsDocument, options: PilotOptions): FlagsEdit {
  const { flag, attribute, values } = options
  if (!/^[^\s.]+$/u.test(attribute) || values.length === 0 || values.includes('')) {
    throw new SwitchbackError(
      'SB_PILOT_INVALID',
      `cannot make a pilot of the attribute ${quote(attribute)} and the values ${quote(values)}`,
      {
        hint: 'name one attribute and at least one value, e.g. attribute "plan", values ["internal"]',
      },
    )
  }
  const definition = flagNode(document, flag)
  const sides = sidesOf(definition)
  const shape = shapeOf(document, flag)
  if (sides === undefined || shape.kind === 'unknown') throw unknownShape(document, flag)
  const share = shareOf(definition, shape, sides)
  const condition: JsonValue = { in: [{ var: attribute }, [...values]] }
  const existing =
    shape.kind === 'none' || shape.kind === 'plain'
      ? undefined
      : shape.segments.find((segment) => readPilot(segment)?.attribute === attribute)
  const changes =
    existing === undefined
      ? [inFront(document, flag, condition, share === 100_000)]
      : [
          changeAt(document, pathOf(existing.condition), condition),
          changeAt(document, pathOf(existing.node), sides.on),
        ]
  return finish(document, {
    action: 'pilot',
    flag,
    changes,
    from: share,
    to: share,
    pilot: { attribute, values, ...(existing === undefined ? {} : { replaces: true }) },
  })
}

/** Adds a condition before all others: in the existing `if`, else in one around the rule. */
function inFront(
  document: FlagsDocument,
  flag: string,
  condition: JsonValue,
  defaultOn: boolean,
): Change {
  const path: JsonPath = ['flags', flag, 'targeting']
  const definition = flagNode(document, flag)
  const { on, off } = sidesOf(definition) ?? { on: 'on', off: 'off' }
  const rule = property(definition, 'targeting')
  if (rule === undefined || !rule.children?.length) {
    const split = {
      fractional: [
        [on, defaultOn ? 100 : 0],
        [off, defaultOn ? 0 : 100],
      ],
    }
    return changeAt(document, path, { if: [condition, on, split] })
  }
  const opening = `${inline(condition)}, ${inline(on)}, `
  const list = property(rule, 'if')
  if (list?.type === 'array') {
    const own = sourceTextOf(document, list)
    const start = (list.children?.[0]?.offset ?? list.offset + 1) - list.offset
    const text = own.slice(0, start) + opening + own.slice(start)
    const change = changeAt(document, pathOf(list), [
      condition,
      on,
      ...(valueOf(list) as JsonValue[]),
    ])
    return { ...change, text }
  }
  const text = `{ "if": [${opening}${sourceTextOf(document, rule)}] }`
  return { ...changeAt(document, path, { if: [condition, on, valueOf(rule)] }), text }
}

/**
 * Removes a pilot; everything behind it stays.
 *
 * @throws {SwitchbackError} `SB_PILOT_UNKNOWN` when there is no segment on this attribute in front.
 */
export function removePilot(
  document: FlagsDocument,
  options: { readonly flag: string; readonly attribute: string },
): FlagsEdit {
  const { flag, attribute } = options
  const definition = flagNode(document, flag)
  const shape = shapeOf(document, flag)
  if (shape.kind === 'unknown') throw unknownShape(document, flag)
  const segments = shape.kind === 'none' || shape.kind === 'plain' ? [] : shape.segments
  const segment = segments.find((each) => readPilot(each)?.attribute === attribute)
  const list = segment?.condition.parent
  const pilot = segment === undefined ? undefined : readPilot(segment)
  if (segment === undefined || list === undefined) {
    const names = segments.flatMap((each) => readPilot(each)?.attribute ?? [])
    throw new SwitchbackError(
      'SB_PILOT_UNKNOWN',
      `the flag ${quote(flag)} has no pilot on ${quote(attribute)}`,
      {
        hint:
          names.length === 0
            ? 'it has no pilots'
            : `it has pilots on ${names.map(quote).join(', ')}`,
      },
    )
  }
  const share = shareOf(definition, shape, sidesOf(definition))
  return finish(document, {
    action: 'pilot-remove',
    flag,
    changes: [withoutSegment(document, segment.condition, list)],
    from: share,
    to: share,
    ...(pilot === undefined ? {} : { pilot }),
  })
}

/** An `if` without one of its conditions, the rest of its text as it is. */
function withoutSegment(document: FlagsDocument, condition: JsonNode, list: JsonNode): Change {
  const parts = list.children ?? []
  const index = parts.indexOf(condition)
  const next = parts[index + 2]
  const rule = list.parent?.parent
  if (parts.length === 3 && next !== undefined && rule !== undefined) {
    return {
      ...changeAt(document, pathOf(rule), valueOf(next)),
      text: sourceTextOf(document, next),
    }
  }
  const left = valueOf(list) as readonly JsonValue[]
  const change = changeAt(document, pathOf(list), left.toSpliced(index, 2))
  if (next === undefined) return change
  const text =
    document.text.slice(list.offset, condition.offset) +
    document.text.slice(next.offset, list.offset + list.length)
  return { ...change, text }
}

/** The pilots of a flag, in order; segments of another form do not count. */
export function pilotsOf(document: FlagsDocument, flag: string): Pilot[] {
  const shape = shapeOf(document, flag)
  if (shape.kind !== 'segment first' && shape.kind !== 'nested') return []
  const on = sidesOf(flagNode(document, flag))?.on
  return shape.segments.flatMap((segment) =>
    segment.variant === on ? (readPilot(segment) ?? []) : [],
  )
}

/** A segment as a pilot: `{"in": [{"var": attribute}, [values]]}`, or `==` with one value. */
export function readPilot(segment: Pick<Segment, 'condition'>): Pilot | undefined {
  const inList = argumentsOf(segment.condition, 'in')
  const equal = argumentsOf(segment.condition, '==') ?? argumentsOf(segment.condition, '===')
  const [variable, operand] = inList ?? equal ?? []
  const attribute = variable === undefined ? undefined : property(variable, 'var')
  if (attribute?.type !== 'string' || operand === undefined) return undefined
  const values = inList === undefined ? [operand] : (operand.children ?? [])
  if (inList !== undefined && operand.type !== 'array') return undefined
  return values.every((value) => value.type === 'string')
    ? { attribute: String(attribute.value), values: values.map((value) => String(value.value)) }
    : undefined
}

function argumentsOf(node: JsonNode, operator: string): JsonNode[] | undefined {
  const args = property(node, operator)
  return args?.type === 'array' && args.children?.length === 2 ? args.children : undefined
}
