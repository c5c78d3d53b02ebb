import { isSwitchbackError, quote, SwitchbackError } from '../../errors.ts'
import { type FlagsDocument, type JsonNode, pathOf, property } from '../file/document.ts'
import { type Change, changeAt, type FlagsEdit } from '../file/edit.ts'
import { flagEntries, flagNode } from '../file/flag-members.ts'
import { definitionOf } from '../users/evaluate.ts'
import { whyNotBack } from './not-back.ts'
import { finish, shapeProblem } from './set-share.ts'
import { shareOf, weightsFor } from '../split/share.ts'
import { leaves, shapeOf } from '../split/shape.ts'
import { pathOfWeight, readSplit, type Sides, sidesOf } from '../split/split.ts'

export interface RollBackOptions {
  readonly flag: string
  /**
   * Leave segments on that get `on` before the split (pilots). A flag that has to be disabled takes
   * them back as well.
   * @default false
   */
  readonly keepPilots?: boolean
  /**
   * Set the flag's state to DISABLED, whatever the rule is: callers then take the default of their
   * code, which is off.
   * @default false
   */
  readonly disable?: boolean
}

/**
 * Routes all users to `off` with the fewest changed characters: every split to 0, segments and the
 * default variant that give `on` to `off`. Works on flags with several splits too, where `setShare`
 * cannot know which one is meant. Where that is not possible, or the rule would still fail or send
 * users to `on`, the flag is disabled instead, and the edit says why in `because`. A flag that is
 * disabled already stays as it is.
 *
 * @throws {SwitchbackError} `SB_FLAG_UNKNOWN`; `SB_SHAPE_UNKNOWN` when not even a disabled flag would
 * be taken back, because flagd reads another definition of it.
 */
export function rollBack(document: FlagsDocument, options: RollBackOptions): FlagsEdit {
  const { flag, keepPilots = false } = options
  if (isDisabled(document, flag) === true) return toState(document, flag, [])
  if (options.disable === true) return disable(document, flag)
  const edit = toOffIfSafe(document, flag, keepPilots)
  if (edit === undefined) return disable(document, flag, shapeProblem(document, flag))
  const problem = whyNotBack(edit.after, flag, keepPilots)
  return problem === '' ? edit : disable(document, flag, problem)
}

/** As flagd reads the flag; `undefined` when it refuses it. */
function isDisabled(document: FlagsDocument, flag: string): boolean | undefined {
  try {
    return definitionOf(document, flag).state === 'DISABLED'
  } catch {
    flagNode(document, flag)
    return undefined
  }
}

function disable(document: FlagsDocument, flag: string, because?: string): FlagsEdit {
  const change = changeAt(document, ['flags', flag, 'state'], 'DISABLED')
  const edit = toState(document, flag, [change])
  if (isDisabled(edit.after, flag) === false) {
    const sets = flagSetsOf(document, flag)
    const where =
      sets.length > 1
        ? `in ${sets.length} flag sets (${sets.join(', ')}): an app gets the one of its selector, without a selector the last one by name, and an edit changes one definition`
        : 'more than once, and flagd would still serve one of them'
    throw new SwitchbackError(
      'SB_SHAPE_UNKNOWN',
      `nothing was written: the file defines the flag ${quote(flag)} ${where}`,
      { hint: 'write "state": "DISABLED" into each of its definitions by hand' },
    )
  }
  return because === undefined ? edit : { ...edit, because }
}

function flagSetsOf(document: FlagsDocument, flag: string): string[] {
  const all = flagEntries(document).filter(([name]) => name === flag)
  const sets = all.map(([, node]) => property(property(node, 'metadata'), 'flagSetId')?.value)
  return [...new Set(sets.map((id) => (typeof id === 'string' ? quote(id) : 'none')))].sort()
}

function toState(document: FlagsDocument, flag: string, changes: readonly Change[]): FlagsEdit {
  const definition = flagNode(document, flag)
  const from = shareOf(definition, shapeOf(document, flag), sidesOf(definition))
  return finish(document, { action: 'disable', flag, changes, from, to: 0 })
}

/** Likewise `undefined` when the text of the rule cannot be edited without touching more. */
function toOffIfSafe(...given: Parameters<typeof toOff>): FlagsEdit | undefined {
  try {
    return toOff(...given)
  } catch (error) {
    if (isSwitchbackError(error) && error.code === 'SB_EDIT_UNSAFE') return undefined
    throw error
  }
}

/** `undefined` when a part of the rule is not understood and could still give `on`. */
function toOff(document: FlagsDocument, flag: string, keepPilots: boolean): FlagsEdit | undefined {
  const definition = flagNode(document, flag)
  const sides = sidesOf(definition)
  if (sides === undefined) return undefined
  const changes: Change[] = []
  if (property(definition, 'defaultVariant')?.value === sides.on) {
    changes.push(changeAt(document, ['flags', flag, 'defaultVariant'], sides.off))
  }
  const targeting = property(definition, 'targeting')
  if (targeting !== undefined && !['object', 'null'].includes(targeting.type)) return undefined
  if (targeting?.type === 'object' && targeting.children?.length) {
    const ofRule = ruleToOff(document, targeting, sides, keepPilots)
    if (ofRule === undefined) return undefined
    changes.push(...ofRule)
  }
  const from = shareOf(definition, shapeOf(document, flag), sides)
  return finish(document, { action: 'rollback', flag, changes, from, to: 0 })
}

function ruleToOff(
  document: FlagsDocument,
  rule: JsonNode,
  sides: Sides,
  keepPilots: boolean,
): Change[] | undefined {
  const changes: Change[] = []
  for (const { outcome } of leaves(rule)) {
    if (outcome.kind === 'opaque') return undefined
    if (outcome.kind === 'variant' && outcome.variant === sides.on && !keepPilots) {
      changes.push(changeAt(document, pathOf(outcome.node), sides.off))
    }
    if (outcome.kind !== 'split') continue
    const split = readSplit(outcome.node, outcome.list, sides)
    if ('reason' in split) return undefined
    // Both weights 0 gives everyone the default variant, which is off by now.
    if (split.on.weight === 0) continue
    const weights = weightsFor(0, split.total)
    changes.push(
      changeAt(document, pathOfWeight(split.on), weights.on),
      changeAt(document, pathOfWeight(split.off), weights.off),
    )
  }
  return changes
}
