import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { now } from './clock.ts'
import type { Lane, Scene, Struck } from './fault.ts'
import { type Dealt, PAUSES } from './faults.ts'
import { randomFor, shuffled } from './random.ts'

export interface Schedule {
  readonly seed: number
  readonly seconds: number
  /** Goes on until so many faults have struck. @default 0 */
  readonly least?: number | undefined
  readonly calm: number
  readonly hostCalm: number
  readonly logs: string
  /** Takes the faults as they begin and end. */
  readonly struck: Struck[]
  /** Ends the run early. */
  readonly signal: AbortSignal
  /** A fault that could not be made, or mended: a process that does not come up again, say. */
  readonly onTrouble: (text: string) => void
}

/** Each lane deals its faults from a shuffled deck, one after the other; the lanes overlap. */
export async function strikeAll(
  scene: Omit<Scene, 'random'>,
  faults: Dealt,
  leftOut: ReadonlyMap<string, string>,
  { seed, seconds, least = 0, calm, hostCalm, logs, struck, signal, onTrouble }: Schedule,
): Promise<void> {
  const end = performance.now() + seconds * 1000
  const play = async (lane: Lane): Promise<void> => {
    const random = randomFor(seed, lane)
    const names = [...faults].filter(([name, fault]) => fault.lane === lane && !leftOut.has(name))
    const enough = (): boolean => names.length === 0 || struck.length >= least
    const isOver = (): boolean => signal.aborted || (performance.now() >= end && enough())
    let deck: Dealt[number][] = []
    for (let i = 0; !isOver(); i += 1) {
      const pause = random() * PAUSES[lane] * (lane === 'host' ? hostCalm : calm)
      await delay(Math.min(pause, Math.max(0, end - performance.now())))
      if (isOver()) break
      if (deck.length === 0) deck = shuffled(names, random)
      const next = deck.pop()
      if (next === undefined) continue
      const [name, fault] = next
      const from = now()
      const at = struck.push({ name, from, to: Number.POSITIVE_INFINITY }) - 1
      await fault
        .strike({ ...scene, random: randomFor(seed, lane, i, name) })
        .catch((error: unknown) => onTrouble(`${name}: ${String(error)}`))
      struck[at] = { name, from, to: now() }
      appendFileSync(join(logs, 'faults.txt'), `${from}\t${now()}\t${name}\n`)
    }
  }
  await Promise.all((Object.keys(PAUSES) as Lane[]).map(play))
}
