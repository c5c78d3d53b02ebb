import { describe, expect, test } from 'vitest'
import { readRecord } from './record.ts'
import { judge, LIMITS } from './verdict.ts'

const limits = { ...LIMITS, tombstoneTtl: 60_000 }

/** Lines as `worker.mjs` writes them. */
function lines(...rows: readonly (readonly (string | number)[])[]): string {
  return rows.map((row) => `${row.join('\t')}\n`).join('')
}

const SET_V1 = ['set', 'k', 100, 200, 'v1', 'off', 'off']
const DELETE = ['delete', 'k', 300, 400, 'on', 'on']
const READ_V1 = ['read', 'k', 500, 'v1', 'on', 'on', 600]

function problemsOf(...processes: readonly string[]): readonly string[] {
  return judge(readRecord(processes), [], limits).problems
}

describe('the checker', () => {
  test('finds a read of what another process had deleted', () => {
    expect(problemsOf(lines(SET_V1, READ_V1), lines(DELETE))).toEqual([
      expect.stringMatching(/^k: read at 500 returned v1 .* a delete began at 300/),
    ])
  })

  test('allows a read that began before the delete was acknowledged', () => {
    const early = ['read', 'k', 399, 'v1', 'on', 'on', 600]
    expect(problemsOf(lines(SET_V1, early), lines(DELETE))).toEqual([])
  })

  test('allows the value of a write whose process was killed in its midst', () => {
    expect(problemsOf(lines(['set?', 'k', 100, 'v1']), lines(DELETE, READ_V1))).toEqual([])
  })

  test('finds a fill whose origin was read before the delete', () => {
    expect(problemsOf(lines(['load', 'k', 250, 'v1'], DELETE, READ_V1))).toHaveLength(1)
    expect(problemsOf(lines(['load', 'k', 350, 'v1'], DELETE, READ_V1))).toEqual([])
  })

  test('finds a value that nobody wrote, such as another user’s or garbage', () => {
    expect(problemsOf(lines(READ_V1))).toEqual([expect.stringContaining('nobody wrote')])
  })

  test('finds failed, slow and growing', () => {
    const mib = 2 ** 20
    const vitals = (at: number, rss: number): readonly (string | number)[] => [
      'vitals',
      at * 1e6,
      rss * mib,
      1,
      1,
      at,
      at,
      1,
    ]
    expect(problemsOf(lines(['failed', 'k', 1, 'SB_X', 'oh no']))).toHaveLength(1)
    expect(problemsOf(lines(['read', 'k', 0, '', 'on', 'on', 9_000_000]))).toHaveLength(1)
    expect(problemsOf(lines(vitals(1, 50), vitals(6, 150), vitals(60, 290)))).toHaveLength(1)
    expect(problemsOf(lines(vitals(1, 50), vitals(6, 150), vitals(60, 270)))).toEqual([])
  })

  test('tells apart what an eviction of a young tombstone may bring back', () => {
    const record = readRecord([lines(SET_V1, DELETE, READ_V1)])
    const evicted = judge(record, [{ name: 'evict', from: 450, to: 470 }], limits)
    expect(evicted).toMatchObject({ problems: [], allowed: 1 })
    const before = judge(record, [{ name: 'evict', from: 10, to: 20 }], limits)
    expect(before).toMatchObject({ allowed: 0, problems: [expect.any(String)] })
    const other = judge(record, [{ name: 'freeze', from: 450, to: 470 }], limits)
    expect(other.problems).toHaveLength(1)
  })
})
