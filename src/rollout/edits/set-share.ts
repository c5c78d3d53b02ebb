import { isDeepStrictEqual } from 'node:util'
import { quote, SwitchbackError } from '../../errors.ts'
import { type FlagsDocument, property } from '../file/document.ts'
import { flagNode } from '../file/flag-members.ts'
import {
  type Change,
  changeAt,
  editText,
  type EditAction,
  type FlagsEdit,
  type Pilot,
} from '../file/edit.ts'
import { parseShare, percentOf, shareOf, type Thousandths, weightsFor } from '../split/share.ts'
import { shapeOf } from '../split/shape.ts'
import { pathOfWeight, sidesOf } from '../split/split.ts'

export interface SetShareOptions {
  readonly flag: string
  /** The `on` share in per cent, at most three decimals. */
  readonly percent: number | string
  /** Refuse unless this is the current share. */
  readonly from?: number | string
}

/**
 * Sets the `on` share of a flag with exact whole weights and touches nothing else. The order of the
 * entries and the bucketing key never change, so a larger share loses no user. A flag without
 * targeting gets a split with `on` first.
 *
 * @throws {SwitchbackError} `SB_SHAPE_UNKNOWN` when the rule is not understood, `SB_SHARE_INVALID`,
 * `SB_SHARE_MOVED` when the share is no longer `from`, `SB_FLAG_UNKNOWN`.
 */
export function setShare(document: FlagsDocument, options: SetShareOptions): FlagsEdit {
  const { flag } = options
  const target = parseShare(options.percent)
  const definition = flagNode(document, flag)
  const sides = sidesOf(definition)
  const shape = shapeOf(document, flag)
  if (shape.kind === 'unknown' || sides === undefined) throw unknownShape(document, flag)
  const now = shareOf(definition, shape, sides)
  expectShare(flag, now, options.from)
  const weights = weightsFor(target, shape.kind === 'none' ? 100 : shape.split.total)
  const changes: Change[] = []
  if (shape.kind === 'none') {
    const split = {
      fractional: [
        [sides.on, weights.on],
        [sides.off, weights.off],
      ],
    }
    changes.push(changeAt(document, ['flags', flag, 'targeting'], split))
  } else {
    changes.push(
      changeAt(document, pathOfWeight(shape.split.on), weights.on),
      changeAt(document, pathOfWeight(shape.split.off), weights.off),
    )
  }
  return finish(document, { action: 'set', flag, changes, from: now, to: target })
}

/** Makes an edit of its changes; changes without effect are left out. */
export function finish(
  before: FlagsDocument,
  parts: {
    readonly action: EditAction
    readonly flag: string
    readonly changes: readonly Change[]
    readonly from: Thousandths | undefined
    readonly to: Thousandths | undefined
    readonly pilot?: Pilot
  },
): FlagsEdit {
  const changes = parts.changes.filter(({ from, to }) => !isDeepStrictEqual(from, to))
  return {
    ...parts,
    changes,
    before,
    after: changes.length === 0 ? before : editText(before, changes),
    from: parts.from === undefined ? undefined : percentOf(parts.from),
    to: parts.to === undefined ? undefined : percentOf(parts.to),
  }
}

/** Refuses when the share is no longer what the caller saw. */
export function expectShare(
  flag: string,
  now: Thousandths | undefined,
  from: number | string | undefined,
): void {
  if (from === undefined || now === parseShare(from)) return
  const stands = now === undefined ? 'unclear' : `${percentOf(now)} %`
  throw new SwitchbackError(
    'SB_SHARE_MOVED',
    `the share of ${quote(flag)} is ${stands}, not ${percentOf(parseShare(from))} %`,
    {
      hint: 'somebody else changed it: look at switchback history, then run switchback set again with --from as it is now',
    },
  )
}

/** Why a shape cannot be edited, with its place and the ways that remain. */
export function unknownShape(document: FlagsDocument, flag: string): SwitchbackError {
  return new SwitchbackError(
    'SB_SHAPE_UNKNOWN',
    `cannot edit the flag ${quote(flag)}: ${shapeProblem(document, flag)}`,
    {
      hint:
        'edit it by hand and check with switchback diff. To have everyone on the old side now, ' +
        '"switchback rollback" disables the flag: everyone gets the default of the code, the old side',
    },
  )
}

/** What is not understood about a flag, and where. */
export function shapeProblem(document: FlagsDocument, flag: string): string {
  const shape = shapeOf(document, flag)
  return shape.kind === 'unknown'
    ? `${shape.reason} (line ${shape.at.line}, column ${shape.at.column})`
    : 'it is unclear which variant is on'
}

/** The `on` share of a flag in per cent; `undefined` for unknown shapes. */
export function currentShare(document: FlagsDocument, flag: string): number | undefined {
  const definition = flagNode(document, flag)
  const share = shareOf(definition, shapeOf(document, flag), sidesOf(definition))
  return share === undefined ? undefined : percentOf(share)
}

/** The share of users whom the flag routes to the new side: 0 for a disabled flag. */
export function shareInForce(document: FlagsDocument, flag: string): number | undefined {
  const disabled = property(flagNode(document, flag), 'state')?.value === 'DISABLED'
  return disabled ? 0 : currentShare(document, flag)
}

/** Whether the default variant is the on side. */
export function defaultsToOn(document: FlagsDocument, flag: string): boolean {
  const definition = flagNode(document, flag)
  return property(definition, 'defaultVariant')?.value === sidesOf(definition)?.on
}
