import { describe, expect, test } from 'vitest'
import { disagreements, look, unseen } from '../../src/guard/rule/index.ts'
import type { BlindnessState, SightReport } from '../../src/guard/rule/index.ts'
import { ExpositionReader } from '../../src/scrape/index.ts'
import { readingOf } from '../../src/guard/samples/reading.ts'
import type { Reading } from '../../src/guard/samples/reading.ts'
import { ShareAlarm } from '../../src/guard/watch/share-alarm.ts'

describe('sight', () => {
  /** Looks once a second; the last report. */
  function after(
    seconds: number,
    heard: (at: number) => readonly string[],
    from: { at: number; state: BlindnessState } = { at: 0, state: unseen },
    named: readonly string[] = [],
  ): { at: number; state: BlindnessState; report: SightReport } {
    let { at, state } = from
    let report: SightReport | undefined
    for (let i = 0; i < seconds; i++) {
      report = look(state, ++at, heard(at), {}, named)
      state = report.state
    }
    return { at, state, report: report! }
  }

  test('half of the replicas are enough, fewer are not', () => {
    const all = after(1, () => ['a', 'b', 'c', 'd'])
    expect(after(1, () => ['a', 'b'], all).report).toMatchObject({
      sight: 'seeing',
      silent: ['c', 'd'],
    })
    expect(after(1, () => ['a'], all).report).toMatchObject({ sight: 'waiting' })
    expect(after(1, () => [], all).report).toMatchObject({ sight: 'waiting' })
  })

  test('waiting becomes blind after 30 s and lost after ten minutes; one answer ends it', () => {
    const seen = after(1, () => ['a'])
    expect(after(30, () => [], seen).report.sight).toBe('waiting')
    expect(after(31, () => [], seen).report.sight).toBe('blind')
    expect(after(600, () => [], seen).report.sight).toBe('blind')
    const lost = after(601, () => [], seen)
    expect(lost.report).toMatchObject({ sight: 'lost', blindS: 600, silent: ['a'] })
    expect(after(1, () => ['a'], lost).report).toMatchObject({ sight: 'seeing', blindS: 0 })
  })

  test('replicas scaled down are forgotten after five minutes, but not while nobody is heard', () => {
    const all = after(1, () => ['a', 'b', 'c'])
    const fewer = after(299, () => ['a'], all)
    expect(fewer.report).toMatchObject({ sight: 'blind', silent: ['b', 'c'] })
    expect(after(1, () => ['a'], fewer).report).toMatchObject({ sight: 'seeing', silent: [] })
    expect(after(900, () => [], all).report.silent).toEqual(['a', 'b', 'c'])
  })

  test('replicas that were named are expected from the first poll on, and never forgotten', () => {
    const named = ['a', 'b', 'c']
    const first = after(1, () => ['a'], undefined, named)
    expect(first.report).toMatchObject({ sight: 'waiting', silent: ['b', 'c'] })
    const long = after(900, () => ['a'], first, named)
    expect(long.report).toMatchObject({ sight: 'lost', silent: ['b', 'c'] })
    expect(after(400, () => ['a', 'b'], long, named).report).toMatchObject({
      sight: 'seeing',
      silent: ['c'],
    })
    expect(after(1, () => ['a'], long, ['a']).report).toMatchObject({ sight: 'seeing' })
  })
})

describe('replicas that disagree', () => {
  const normal = { badTreatment: 20, treatment: 10_000, badControl: 40, control: 30_000 }

  test('are named with the side on which they fail', () => {
    const sick = { ...normal, badTreatment: 900 }
    const found = disagreements(
      new Map([
        ['a', normal],
        ['b', sick],
        ['c', normal],
      ]),
    )
    const what = 'fails 9.0 % on the new side, the others 0.20 %'
    expect(found).toEqual([{ replica: 'b', of: 'on', rate: 0.09, others: 0.002, what }])
    const old = { ...normal, badControl: 3000 }
    expect(
      disagreements(
        new Map([
          ['a', normal],
          ['b', old],
        ]),
      ),
    ).toMatchObject([{ replica: 'b', what: expect.stringContaining('on the old side') }])
  })

  test('are named when they serve another share', () => {
    const stale = { badTreatment: 0, treatment: 0, badControl: 60, control: 40_000 }
    const found = disagreements(
      new Map([
        ['a', normal],
        ['b', stale],
        ['c', normal],
      ]),
    )
    expect(found.map(({ replica }) => replica)).toContain('b')
    expect(found.every(({ what }) => what.startsWith('sends'))).toBe(true)
  })

  test('by chance alone are not named, nor is a single one', () => {
    const lucky = { ...normal, badTreatment: 34, treatment: 10_300 }
    expect(
      disagreements(
        new Map([
          ['a', normal],
          ['b', lucky],
        ]),
      ),
    ).toEqual([])
    expect(disagreements(new Map([['a', { ...normal, badTreatment: 9000 }]]))).toEqual([])
  })
})

describe('the share that is seen', () => {
  function reading(replica: string, windows: number, off: number, on: number): Reading {
    const text = [
      `switchback_instance_info{instance_id="${replica}"} 1`,
      `switchback_user_windows_total ${windows}`,
      `switchback_users_total{side="off"} ${off}`,
      `switchback_users_total{side="on"} ${on}`,
      '',
    ].join('\n')
    const reader = new ExpositionReader(() => true)
    reader.push(text)
    return readingOf(replica, windows, reader.end(), [])
  }

  test('counts only windows that began after the step, where not only movers are new', () => {
    const watch = new ShareAlarm()
    // In the window of the change, and in the one whose start nobody saw, movers come alone.
    watch.add(reading('a', 7, 1000, 100))
    watch.add(reading('a', 7, 1000, 400))
    watch.add(reading('a', 8, 1900, 700))
    expect(watch.users(25)).toMatchObject({ off: 0, on: 0 })
    watch.add(reading('a', 9, 2650, 950))
    expect(watch.users(25)).toMatchObject({ off: 750, on: 250 })
    expect(watch.users(25).logFactor).toBeLessThan(0)
  })

  test('counts a user once, over windows and over replicas', () => {
    const watch = new ShareAlarm()
    for (const replica of ['a', 'b']) {
      for (let window = 1; window <= 12; window++) {
        watch.add(reading(replica, window, 700 * window, 300 * window))
      }
    }
    const { off, on, logFactor } = watch.users(25)
    expect([off, on]).toEqual([700, 300])
    // 300 of 1,000 is no certainty; 20 times as many would be.
    expect(logFactor).toBeLessThan(Math.log(1000))
    expect(watch.users(20).logFactor).toBeGreaterThan(Math.log(1000))
  })

  test('begins anew with a step and with a process', () => {
    const watch = new ShareAlarm()
    for (let window = 1; window <= 5; window++) watch.add(reading('a', window, 100 * window, 0))
    expect(watch.users(50).logFactor).toBeGreaterThan(10)
    watch.restart()
    expect(watch.users(50)).toEqual({ off: 0, on: 0, logFactor: 0 })
  })

  test('is told while it is wrong, and no longer when it is right again', () => {
    const alarm = new ShareAlarm()
    let [window, off, on] = [0, 0, 0]
    /** A window in which that many of 2,000 users are on; what is told at its end. */
    const see = (more: number): string => {
      window++
      off += 2000 - more
      on += more
      alarm.add(reading('a', window, off, on))
      return alarm.look(25, true)
    }
    expect([see(500), see(490), see(510)]).toEqual(['', '', ''])
    const wrong = Array.from({ length: 10 }, () => see(300))
    expect(wrong.at(-1)).toBe('300 of 2000 users are on the new side, at a share of 25 %')
    expect(see(520)).not.toBe('')
    const right = Array.from({ length: 6 }, (_, i) => see(500 + i))
    expect(right.at(-1)).toBe('')
    // And it can be told again.
    const again = Array.from({ length: 8 }, () => see(0))
    expect(again.at(-1)).toBe('0 of 2000 users are on the new side, at a share of 25 %')
  })
})
