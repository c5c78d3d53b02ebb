import { createHash } from 'node:crypto'
import { seeded } from '../support/simulation.ts'

/** A generator of its own for each part of a run, so that none disturbs the draws of another. */
export function randomFor(seed: number, ...parts: readonly (string | number)[]): () => number {
  return seeded(
    createHash('sha1')
      .update([seed, ...parts].join('/'))
      .digest()
      .readUInt32LE(),
  )
}

/** A shuffled copy. */
export function shuffled<T>(items: readonly T[], random: () => number): T[] {
  const deck = [...items]
  for (let i = deck.length - 1; i > 0; i -= 1) {
    const j = Math.floor(random() * (i + 1))
    ;[deck[i], deck[j]] = [deck[j]!, deck[i]!]
  }
  return deck
}

export function pick<T>(items: readonly T[], random: () => number): T {
  return items[Math.floor(random() * items.length)]!
}

export function randomBytes(length: number, random: () => number): Buffer {
  const bytes = Buffer.alloc(length)
  for (let i = 0; i + 4 <= length; i += 4) bytes.writeUInt32LE(random() * 2 ** 32, i)
  return bytes
}
