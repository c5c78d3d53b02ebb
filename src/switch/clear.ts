import { oneLine } from '../errors.ts'
import type { GuardedSide } from './sides/guarded-side.ts'
import type { Debts } from './truth/debts.ts'

/** Empties both sides. A side that cannot be emptied is distrusted instead. Never rejects. */
export async function clearBoth(sides: readonly GuardedSide[], debts: Debts): Promise<void> {
  const onEach = async (
    each: readonly GuardedSide[],
    work: (side: GuardedSide) => Promise<void>,
  ): Promise<readonly GuardedSide[]> => {
    const done = each.map(async (side) => {
      try {
        if (!side.usable) throw new Error('the side is out')
        await work(side)
        return [side]
      } catch (error) {
        await debts.fence(side.side, `clear failed: ${oneLine(error)}`)
        return []
      }
    })
    return (await Promise.all(done)).flat()
  }
  // So that no load from before it is stored after it. Both, before either is emptied: until then values move.
  // What was written in this very millisecond is covered too.
  const fenced = await onEach(sides, (side) =>
    debts.fence(side.side, 'cleared', side.backend.now() + 1),
  )
  await onEach(fenced, async (side) => {
    await side.backend.clear()
    // What was on its way already may have been stored behind the deletion's back.
    if (debts.fencesByEra) return
    await debts.fence(side.side, 'cleared')
    await debts.mendFence(side.side)
  })
}
