import { type FlagsDocument, flagNode, pathOf, property } from '../file/document.ts'
import { type Change, changeAt, type FlagsEdit } from '../file/edit.ts'
import { expectationOf } from '../users/expectation.ts'
import { finish, unknownShape } from './set-share.ts'
import { shareOf, weightsFor } from '../split/share.ts'
import { leaves, oddKey, shapeOf } from '../split/shape.ts'
import { pathOfWeight, readSplit, sidesOf } from '../split/split.ts'

export interface RollBackOptions {
  readonly flag: string
  /**
   * Leave segments on that get `on` before the split (pilots).
   * @default false
   */
  readonly keepPilots?: boolean
  /**
   * Set the flag's state to DISABLED instead: this works for every shape, since callers then take
   * the default of their code, which is off.
   * @default false
   */
  readonly disable?: boolean
}

/**
 * Routes all users to `off` with the fewest changed characters: every split to 0, segments and the
 * default variant that give `on` to `off`. Works on flags with several splits too, where `setShare`
 * cannot know which one is meant.
 *
 * @throws {SwitchbackError} `SB_SHAPE_UNKNOWN` when a part of the rule is not understood and could
 * still give `on`; `disable` works then.
 */
export function rollBack(document: FlagsDocument, options: RollBackOptions): FlagsEdit {
  const { flag, keepPilots = false } = options
  const definition = flagNode(document, flag)
  const sides = sidesOf(definition)
  const shape = shapeOf(document, flag)
  const from = shareOf(definition, shape, sides)
  const at = ['flags', flag]
  // It would be skipped, with all users it sends to the new side.
  if (oddKey(definition) !== undefined) throw unknownShape(document, flag, { disable: false })
  if (options.disable === true) {
    const changes = [changeAt(document, [...at, 'state'], 'DISABLED')]
    return finish(document, { action: 'disable', flag, changes, from, to: undefined })
  }
  if (sides === undefined) throw unknownShape(document, flag)

  const changes: Change[] = []
  const offInstead = (path: readonly (string | number)[]) =>
    changes.push(changeAt(document, path, sides.off))
  if (property(definition, 'defaultVariant')?.value === sides.on) {
    offInstead([...at, 'defaultVariant'])
  }
  const targeting = property(definition, 'targeting')
  if (targeting !== undefined && !['object', 'null'].includes(targeting.type)) {
    throw unknownShape(document, flag)
  }
  const rule = targeting?.type === 'object' && targeting.children?.length ? targeting : undefined
  for (const { outcome } of rule === undefined ? [] : leaves(rule)) {
    if (outcome.kind === 'opaque') throw unknownShape(document, flag)
    if (outcome.kind === 'variant' && outcome.variant === sides.on && !keepPilots) {
      offInstead(pathOf(outcome.node))
    }
    if (outcome.kind !== 'split') continue
    const split = readSplit(outcome.node, outcome.list, sides)
    if ('reason' in split) throw unknownShape(document, flag)
    // Both weights 0 gives everyone the default variant, which is off by now.
    if (split.on.weight === 0) continue
    const weights = weightsFor(0, split.total)
    changes.push(
      changeAt(document, pathOfWeight(split.on), weights.on),
      changeAt(document, pathOfWeight(split.off), weights.off),
    )
  }
  const edit = finish(document, { action: 'rollback', flag, changes, from, to: 0 })
  if (!keepPilots && leavesSomebody(edit)) throw unknownShape(document, flag)
  return edit
}

/**
 * Whether the new text still sends probe users to the new side: then the rule was misunderstood.
 */
function leavesSomebody({ after, flag }: FlagsEdit): boolean {
  try {
    return expectationOf(after, flag).on('') > 0
  } catch {
    // flagd refuses the file, which is reported when it is written.
    return false
  }
}
