// The evidence agrees with the simulation that the rule was designed with: five series of 420 seconds.
import { readFile } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { EProcess, RATIO, stratumOf, Tally } from '../../src/guard/rule/index.ts'
import type { ArmPair } from '../../src/guard/rule/index.ts'

interface Series {
  readonly direction: 'harm' | 'safety'
  readonly add: number
  readonly slotS: number
  readonly polls: readonly { rate: number; want: number | undefined; pair: ArmPair }[]
}

/** Counts by bucket, a digit of base 36 each; `-` is all zeros. */
function counts(text: string): Float64Array {
  if (text === '-') return new Float64Array(32)
  const list = text.includes(',')
    ? text.split(',').map(Number)
    : [...text].map((d) => parseInt(d, 36))
  return Float64Array.from(list)
}

async function readSeries(): Promise<Series[]> {
  const text = await readFile(new URL('evidence-vectors.txt', import.meta.url), 'utf8')
  return text
    .split('series ')
    .slice(1)
    .map((part) => {
      const [head = '', ...lines] = part.trimEnd().split('\n')
      const [direction, add, slotS] = head.split(' ')
      const polls = lines.map((line) => {
        const [rate, want, xT = '-', nT = '-', xC = '-', nC = '-'] = line.split(' ')
        const pair = {
          control: { bad: counts(xC), total: counts(nC) },
          treatment: { bad: counts(xT), total: counts(nT) },
        }
        return { rate: Number(rate), want: want === '-' ? undefined : Number(want), pair }
      })
      return { direction: direction as 'harm', add: Number(add), slotS: Number(slotS), polls }
    })
}

describe('the evidence', async () => {
  const all = await readSeries()

  test.each(all.map((series, i) => [i, series] as const))(
    'of series %i is that of the simulation',
    (_, { direction, add, slotS, polls }) => {
      const tally = new Tally({ buckets: 32, fixedEffect: 1, slotS })
      const evidence = new EProcess(direction, { ratio: RATIO, add }, tally)
      let checks = 0
      for (const [at, { rate, want, pair }] of polls.entries()) {
        if (evidence.isWatchDue(at)) evidence.openWatch(at, rate)
        evidence.add('a', stratumOf(pair), rate)
        evidence.endStratum('a')
        tally.add(at, 1, [pair])
        if (want === undefined) continue
        checks++
        expect(Math.abs(evidence.read(rate).logEvidence - want)).toBeLessThan(1e-9)
      }
      expect(checks).toBeGreaterThan(40)
    },
  )
})
