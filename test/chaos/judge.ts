import type { Struck } from './fault.ts'
import type { Finding, Ground } from './ground.ts'
import type { Worker } from './workers.ts'

/** What becomes of a finding: it breaks a promise, or a row of docs/guarantees.md has room for it. */
export type Judgement =
  | { readonly outcome: 'stale' | 'failed' | 'fine' }
  | { readonly outcome: 'allowed'; readonly row: string; readonly lateMs: number }

export interface Circumstances {
  readonly ground: Ground
  readonly workers: readonly Worker[]
  readonly struck: readonly Struck[]
  readonly tombstoneTtl: number
  /** One of the processes is another machine's. */
  readonly twoMachines: boolean
  readonly cluster: boolean
  /** Each process is a machine with an old side of its own. */
  readonly machines: boolean
  /** Two Redis, and no files. */
  readonly pair: boolean
}

/** The deadline of a side (100 ms), and how far a busy machine is off. */
const UNANSWERED_US = 150_000
/** Between two looks at the era of a store, and how far a busy machine is off. */
const ERA_LOOK_US = 1_500_000
/** For which the host stops a process, or has no core for it. */
const LONGEST_STOP_MS = 3000
const EXPIRY_SLACK_US = 6_000_000
/** Several machines: for how long one that lost Redis goes by what it knew, and one that has not. */
const ALONE_US = 10_000_000
const LIVE_US = 1_000_000
/** What a user of Redis is told when it could not be used: they are a user of the old side then. */
const FALLBACKS: ReadonlySet<string> = new Set(['fell_back', 'timed_out', 'failed'])

/** Each side of it is a machine of its own, and is told so: nobody promises that they agree. */
const SHARED_DIRECTORY = 'two machines on one directory, which say so'

/** Judges one finding by what is known a moment later. */
export function judge(finding: Finding, circumstances: Circumstances): Judgement {
  if (finding.kind === 'refused') return { outcome: 'allowed', row: 'settings refused', lateMs: 0 }
  if (finding.kind !== 'stale' && finding.kind !== 'unacknowledged') return { outcome: 'failed' }
  const until = finding.kind === 'stale' ? finding.until! : settledBy(finding, circumstances)
  if (until >= finding.fresh!) return { outcome: 'fine' }
  const row = circumstances.twoMachines
    ? SHARED_DIRECTORY
    : circumstances.machines
      ? rowOfMachines(finding, until, circumstances)
      : rowFor(finding, circumstances)
  if (row === undefined) return { outcome: 'stale' }
  const { from = 0, fresh = 0, freshAt = 0 } = finding
  return { outcome: 'allowed', row, lateMs: (from - (freshAt > 0 ? freshAt : fresh)) / 1000 }
}

/**
 * Until when the value of a set that was never acknowledged may have been the current one: its process
 * lives, or it was killed, and a request on the way lands within the deadline.
 */
function settledBy({ value }: Finding, { ground, workers }: Circumstances): number {
  const { w, n, at } = value!
  const end = ground.setEnd(w, n)
  if (end > 0) return end
  const life = workers.find(({ options }) => options.index === w)?.lifeAt(at)
  return life === undefined ? Number.POSITIVE_INFINITY : life.to + UNANSWERED_US
}

/**
 * "Several machines" of docs/guarantees.md. Users of the old side see at once what their own machine wrote, and later
 * what others did, whoever gave them the value: the old side, a load or a question to Redis from before that they
 * joined. Users of Redis are users of the old side while their machine cannot use Redis, and else see nothing older.
 */
function rowOfMachines(
  finding: Finding,
  until: number,
  { ground }: Circumstances,
): string | undefined {
  const { from = 0, fresh = 0, freshAt = 0, freshHere = 0, side, servedBy, outcome = '' } = finding
  if (until < freshHere) return undefined
  if (side === 'on' && (servedBy === 'on' || !FALLBACKS.has(outcome))) return undefined
  const late = from - (freshAt > 0 ? freshAt : fresh)
  if (late <= LIVE_US + UNANSWERED_US) return 'what another machine wrote (1 s)'
  // Whoever has an answer of Redis is not without it.
  if (servedBy === 'on' || late > ALONE_US + LIVE_US) return undefined
  const unanswered = side === 'on' && outcome !== 'fell_back'
  return unanswered || ground.wasOut(finding.by, from, finding.foundAt)
    ? 'what another machine wrote, Redis being out (10 s)'
    : undefined
}

/** The row of docs/guarantees.md that bounds a stale read, if there is one and its bound is kept. */
function rowFor(
  finding: Finding,
  { ground, workers, struck, tombstoneTtl, cluster, pair }: Circumstances,
): string | undefined {
  const { from = 0, fresh = 0, value } = finding
  // Its time is not known any more once its process has written again: it was before the read.
  const { freshAt: knownAt = fresh } = finding
  const freshAt = knownAt === 0 ? from : knownAt
  const { at, ms, ttl } = value!
  const expired = ttl > 0 && from > at + (ms + ttl) * 1000 + EXPIRY_SLACK_US
  const during = (name: string, since: number, until: number): boolean =>
    struck.some((one) => one.name === name && one.from <= until && one.to >= since)
  const alive = fresh + tombstoneTtl * 1000
  // What was noted on the one that steps down is lost with it.
  if (pair && during('twoMasters', fresh, freshAt) && !expired) {
    return 'the write went to one of two masters of a store (the TTL)'
  }
  if (during('evict', fresh, alive) && !expired) return 'a young tombstone was evicted (the TTL)'
  if (
    struck.some(
      (one) => one.name === 'replicaOf' && one.from <= from && from <= one.to + ERA_LOOK_US,
    )
  ) {
    return 'what a copy held, until the next look at the era (1 s)'
  }
  if (cluster && during('flushAll', at, from) && !expired) {
    return 'FLUSHALL on a node of a Cluster while a load was under way (the TTL)'
  }
  if (during('stepRedis', fresh, from) && !expired) {
    return 'the clock of Redis was stepped: tombstones end early, or late writes land (the TTL)'
  }
  const filler = workers.find(({ options }) => options.index === value!.w)
  const { tombstoneTtls } = filler!.options
  if (value!.n < 0 && Math.min(...tombstoneTtls) <= 4 * LONGEST_STOP_MS) {
    const stood = ground.longestStall(filler!.id, at, at + ms * 1000 + 2_000_000)
    if (stood > Math.min(...tombstoneTtls) / 2 - 100 && !expired) {
      return 'the process that loaded it stood still for more than T/2 (the TTL)'
    }
  }
  return undefined
}
