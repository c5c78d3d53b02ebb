import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Fault, Lane, Scene } from './fault.ts'
import { PAUSES } from './faults.ts'
import { randomFor, shuffled } from './random.ts'
import type { Struck } from './verdict.ts'

export interface Schedule {
  readonly seed: number
  readonly seconds: number
  readonly logs: string
}

/** Each lane deals its faults from a shuffled deck, one after the other; the lanes overlap. */
export async function strikeAll(
  scene: Omit<Scene, 'random'>,
  faults: ReadonlyMap<string, Fault>,
  leftOut: ReadonlyMap<string, string>,
  { seed, seconds, logs }: Schedule,
): Promise<readonly Struck[]> {
  const struck: Struck[] = []
  const end = performance.now() + seconds * 1000
  const play = async (lane: Lane): Promise<void> => {
    const random = randomFor(seed, lane)
    const names = [...faults].filter(([name, fault]) => fault.lane === lane && !leftOut.has(name))
    let deck: typeof names = []
    for (let i = 0; performance.now() < end; i += 1) {
      await delay(Math.min(random() * PAUSES[lane], Math.max(0, end - performance.now())))
      if (performance.now() >= end) break
      if (deck.length === 0) deck = shuffled(names, random)
      const next = deck.pop()
      if (next === undefined) continue
      const [name, fault] = next
      const from = now()
      await fault.strike({ ...scene, random: randomFor(seed, lane, i, name) })
      struck.push({ name, from, to: now() })
      appendFileSync(join(logs, 'faults.txt'), `${from}\t${now()}\t${name}\n`)
    }
  }
  await Promise.all((Object.keys(PAUSES) as Lane[]).map(play))
  return struck
}

/** As the workers tell it: the machine's monotonic clock, in microseconds. */
function now(): number {
  return Number(process.hrtime.bigint() / 1000n)
}
