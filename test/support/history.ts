/** A write or delete as its caller saw it. Times are positions in one order, e.g. a counter. */
export interface WriteRecord {
  readonly key: string
  readonly invokedAt: number
  /** Undefined: never acknowledged (its process died). */
  readonly acknowledgedAt: number | undefined
  /** Undefined for a delete. */
  readonly value: string | undefined
}

/** The moment at which the origin was read for a value that a loader returned. */
export interface LoadRecord {
  readonly key: string
  readonly value: string
  readonly at: number
}

export interface ReadRecord {
  readonly key: string
  readonly invokedAt: number
  /** Undefined: a miss. */
  readonly value: string | undefined
}

/** A read that broke the promise. */
export interface StaleRead {
  readonly read: ReadRecord
  /** When the value had come into being; undefined: nobody wrote it. */
  readonly born: number | undefined
  /** The acknowledged write that it is older than; undefined when nobody wrote the value. */
  readonly superseded: WriteRecord | undefined
}

/** A run of the cache, recorded from outside. Each value is unique over the whole run. */
export class History {
  readonly writes: WriteRecord[] = []
  readonly loads: LoadRecord[] = []
  readonly reads: ReadRecord[] = []

  /**
   * The reads that broke the promise: a read that starts after a write or delete was acknowledged
   * never returns anything older. A value is older than a write when it had come into being (its own
   * write was acknowledged, or its load had read the origin) before that write began.
   */
  stale(): StaleRead[] {
    const bornBy = new Map<string, number>()
    for (const write of this.writes) {
      if (write.value === undefined) continue
      bornBy.set(write.value, write.acknowledgedAt ?? Number.POSITIVE_INFINITY)
    }
    for (const load of this.loads) bornBy.set(load.value, load.at)

    const latest = latestStarts(this.writes)
    return this.reads.flatMap((read): StaleRead[] => {
      if (read.value === undefined) return []
      const born = bornBy.get(read.value)
      if (born === undefined) return [{ read, born, superseded: undefined }]
      const superseded = latest(read.key, read.invokedAt)
      if (superseded === undefined || superseded.invokedAt <= born) return []
      return [{ read, born, superseded }]
    })
  }

  /** The stale reads, one line each. */
  violations(): string[] {
    return this.stale().map(describeStale)
  }
}

/** A stale read in one line. */
export function describeStale({ read, born, superseded }: StaleRead): string {
  const returned = `${read.key}: read at ${read.invokedAt} returned ${read.value}`
  if (superseded === undefined) return `${returned}, which nobody wrote`
  return (
    `${returned} (there by ${born}), but ${superseded.value ?? 'a delete'} began at ` +
    `${superseded.invokedAt} and was acknowledged at ${superseded.acknowledgedAt}`
  )
}

/** For a key and a time: of the writes acknowledged before it, the one that began last. */
function latestStarts(
  writes: readonly WriteRecord[],
): (key: string, before: number) => WriteRecord | undefined {
  const byKey = new Map<string, { readonly at: number; readonly best: WriteRecord }[]>()
  const acknowledged = writes
    .filter((write) => write.acknowledgedAt !== undefined)
    .toSorted((a, b) => a.acknowledgedAt! - b.acknowledgedAt!)
  for (const write of acknowledged) {
    const steps = byKey.get(write.key) ?? []
    const last = steps.at(-1)?.best
    const best = last === undefined || write.invokedAt > last.invokedAt ? write : last
    steps.push({ at: write.acknowledgedAt!, best })
    byKey.set(write.key, steps)
  }
  return (key, before) => {
    const steps = byKey.get(key) ?? []
    let [low, high] = [0, steps.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if (steps[middle]!.at < before) low = middle + 1
      else high = middle
    }
    return steps[low - 1]?.best
  }
}
