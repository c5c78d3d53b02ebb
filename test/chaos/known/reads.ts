import type { PairProcess } from '../../support/pair-processes.ts'

/** What was acknowledged last for each key, and when, by the clock of this process. Values are numbers, as text. */
export class Latest {
  readonly #of = new Map<string, { readonly value: number; readonly at: number }>()

  /** After the answer has come. */
  acknowledged(keys: readonly string[], value: number): void {
    for (const key of keys) this.#of.set(key, { value, at: performance.now() })
  }

  of(key: string): { readonly value: number; readonly at: number } {
    return this.#of.get(key) ?? { value: 0, at: Number.NEGATIVE_INFINITY }
  }
}

/** Counts reads, those that gave something older, and how late after the acknowledgement they began. */
export class Reads {
  all = 0
  hits = 0
  older = 0
  latestMs = 0
  failed = 0
  /** Of which keys something older was read later than the bound. */
  readonly wrong: Set<string> = new Set()
  readonly #latest: Latest
  readonly #boundMs: number

  constructor(latest: Latest, boundMs: number) {
    this.#latest = latest
    this.#boundMs = boundMs
  }

  /** All keys at once. `load`: what is missing is loaded, as it is now. */
  async look(
    one: PairProcess,
    user: 'off-user' | 'on-user',
    keys: readonly string[],
    load?: string,
  ): Promise<void> {
    const began = performance.now()
    const due = keys.map((key) => this.#latest.of(key))
    const asked = one.ask<(string | undefined)[]>(
      load === undefined ? 'get' : 'load',
      user,
      keys,
      load,
    )
    const answer = await asked.catch(() => undefined)
    this.all += keys.length
    if (answer === undefined) {
      this.failed += keys.length
      return
    }
    for (const [i, read] of answer.result.entries()) {
      // `undefined` does not get through.
      if (read === undefined || read === null) continue
      this.hits += 1
      const { value, at } = due[i]!
      if (Number(read) >= value) continue
      this.older += 1
      const lateMs = began - at
      this.latestMs = Math.max(this.latestMs, lateMs)
      if (lateMs > this.#boundMs) this.wrong.add(keys[i]!)
    }
  }

  toString(): string {
    const older =
      this.older === 0
        ? 'none older'
        : `${this.older} older, at most ${this.latestMs.toFixed(0)} ms after the acknowledgement`
    return `${this.all} reads, ${this.hits} of them of cached values: ${older}, ${this.failed} failed`
  }
}

/** Each of them reads again and again, until it is over. */
export function readingUntil(
  ended: () => boolean,
  processes: readonly PairProcess[],
  round: (one: PairProcess) => Promise<void>,
): Promise<unknown> {
  return Promise.all(
    processes.map(async (one) => {
      do await round(one)
      while (!ended())
    }),
  )
}
