import { afterEach, describe, expect, test } from 'vitest'
import { leave } from './machine.ts'
import { makePairPlan, PAIR_FAULTS } from './pair-plan.ts'
import { FAULTS, makePlan, type PlanOptions, withNamespace, withPlain } from './plan.ts'
import { run } from './run.ts'
import { inFull } from '../support/full.ts'

const OPTIONS: PlanOptions = {
  policies: ['invalidate', 'mirror', 'compare'],
  faults: [
    'hang',
    'disconnect',
    'restart-empty',
    'restart-snapshot',
    'flushall',
    'replicaof',
    'kill',
    'close',
    'start',
    'oom',
    'readonly',
    'writer-frozen',
    'disk-full',
    'disk-broken',
    'cut',
    'evict-state',
    'evict',
    'freeze',
    'redis-clock',
    'host-clock',
  ],
  realFiles: 0,
  nested: true,
  slow: true,
  clear: true,
  overflow: true,
}

// `npm run test:simulation` runs as many as it is told.
const PLAIN_SEEDS = inFull(12, 40)
const PLAIN_PAIR_SEEDS = inFull(4, 12)
const PAIR_SEEDS = inFull(14, 40)
const NAMESPACE_SEEDS = inFull(10, 30)
const SEEDS = Number(process.env['SWITCHBACK_RUNS'] ?? inFull(40, 120))

afterEach(leave)

describe('the shipped assembly under one scheduler', () => {
  test(
    `${SEEDS} schedules return nothing older than what was acknowledged`,
    { timeout: 600_000 },
    async () => {
      for (let seed = 1; seed <= SEEDS; seed += 1) {
        const { problems } = await run(makePlan(seed, OPTIONS), { seed })
        expect(problems, `npm run test:simulation -- --seed ${seed} --schedules 1`).toEqual([])
      }
    },
  )

  test('some schedules on real files', { timeout: 600_000 }, async () => {
    for (let seed = 1; seed <= 8; seed += 1) {
      const { problems } = await run(makePlan(seed, { ...OPTIONS, realFiles: 1 }), { seed })
      expect(problems, `npm run test:simulation -- --real-files 1 --seed ${seed}`).toEqual([])
    }
  })

  test('some schedules of two Redis that all share', { timeout: 600_000 }, async () => {
    // The last two: a clear by a process that has just stood still, or is cut off.
    const seeds = [...Array.from({ length: PAIR_SEEDS }, (_, i) => i + 1), 900_000_783, 900_000_796]
    for (const seed of seeds) {
      const { problems } = await run(makePairPlan(seed, PAIR_FAULTS), { seed })
      expect(problems, `npm run test:simulation -- --pair --seed ${seed}`).toEqual([])
    }
  })

  test('some schedules of plain values, which others write too', { timeout: 600_000 }, async () => {
    // 17: a copy over a newer value of theirs; 210: a value of theirs that was deleted before Redis was heard.
    const options: PlanOptions = { ...OPTIONS, faults: FAULTS }
    for (const seed of [17, 210, ...Array.from({ length: PLAIN_SEEDS }, (_, i) => i + 1000)]) {
      const { problems } = await run(withPlain(makePlan(seed, options), seed), { seed })
      expect(problems, `npm run test:simulation -- --values plain --seed ${seed}`).toEqual([])
    }
    for (let seed = 1; seed <= PLAIN_PAIR_SEEDS; seed += 1) {
      const { problems } = await run(withPlain(makePairPlan(seed, PAIR_FAULTS), seed), { seed })
      expect(problems, `npm run test:simulation -- --values plain --pair --seed ${seed}`).toEqual(
        [],
      )
    }
  })

  test('some schedules in a namespace, which is cleared often', { timeout: 600_000 }, async () => {
    // 778: a generation that begins before the last one has ended. What else is rare is in `many.test.ts`.
    const options: PlanOptions = { ...OPTIONS, policies: ['invalidate'], faults: FAULTS }
    for (const seed of [778, ...Array.from({ length: NAMESPACE_SEEDS }, (_, i) => i + 1)]) {
      const { problems } = await run(withNamespace(makePlan(seed, options), seed), { seed })
      const again = `npm run test:simulation -- --namespace --policy invalidate --seed ${seed}`
      expect(problems, again).toEqual([])
    }
  })

  test('a seed plays the same story again', async () => {
    const plan = makePlan(11, OPTIONS)
    const first = await run(plan, { seed: 11, story: true })
    const again = await run(plan, { seed: 11, story: true })
    expect(again.story.length).toBeGreaterThan(10)
    expect(again.story).toEqual(first.story)
    // Also from its recorded choices.
    const played = await run(plan, { seed: 11, script: first.choices, story: true })
    expect(played.story).toEqual(first.story)
  })
})
