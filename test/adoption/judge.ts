import type { Side } from '../../src/side.ts'

/** The program as it was, and with the switch. */
export type Version = 'old' | 'new'

/** One request. Times are those of the scene. */
export interface Op {
  readonly id: string
  readonly kind: 'read' | 'rename'
  readonly by: Version
  readonly side: Side
  readonly began: number
  ended: number
  /** The switch was asked for it. If not, its library gave it what it asked for another one. */
  asked: boolean
  /** The user's side did not answer, or nobody could vouch for it. */
  unanswered: boolean
  /** The value was there. */
  hit: boolean
  /** Sides that the value was stored on, loaded or moved. */
  readonly storedOn: Side[]
  /** Sides that could not be told of the rename. */
  readonly owedBy: Side[]
  /** For the story. */
  readonly notes: string[]
}

/** A value, told from all others by its load. */
export interface Loaded {
  readonly op: Op
  readonly at: number
  /** When a request of the switch had ended that proves the value was on this side. */
  readonly seenOn: Readonly<Record<Side, number[]>>
}

export interface Write {
  readonly op: Op
  readonly savedAt: number
  acknowledgedAt: number
}

export interface Circumstances {
  /** Each process has a cache of its own: of others' writes it never knew. @default false */
  readonly private?: boolean
  /** What is loaded is stored whatever happened meanwhile, as the library's interface has it. @default false */
  readonly unconditional?: boolean
}

export interface Happened {
  /** When the Redis of the old program lost what it had. */
  readonly lost: readonly number[]
  /** When nothing was pending for it any more. */
  readonly repaid: readonly number[]
}

/**
 * Whether a row of guarantees.md, "Plain values", what cannot be promised, allows the read of a value from before
 * the write, which was acknowledged before the read began.
 */
export function isAllowed(
  write: Write,
  read: Op,
  value: Loaded,
  circumstances: Circumstances,
  { lost, repaid }: Happened,
): boolean {
  const { unconditional, private: isPrivate } = circumstances
  const within = (times: readonly number[], from: number, to: number): boolean =>
    times.some((at) => at > from && at < to)
  // A value in a store of one process that its own program wrote.
  if (isPrivate === true && write.op.by !== read.by) return true
  // A slow load of another program, or one over what another program wrote and deleted again.
  const wasLoading = value.op.ended > write.savedAt
  const foreign = value.op.by === 'old' || write.op.by === 'old'
  if (wasLoading && (foreign || unconditional === true)) return true
  // The old program's own Redis came back with what it had saved.
  const hasLost = within(lost, write.savedAt, read.ended)
  if (read.by === 'old' && hasLost) return true
  if (write.op.by === 'new') {
    // Other programs see a write as soon as nothing is pending.
    const pending = write.op.owedBy.includes('off')
    return read.by === 'old' && pending && !within(repaid, write.acknowledgedAt, read.began)
  }
  // Another program writes, and the other side has a copy.
  if (read.by === 'new' && read.side === 'on') return true
  if (value.seenOn.on.length === 0) return false
  // The side does not answer, and the other one has a copy.
  if (read.unanswered) return true
  // All of the side is distrusted, and the other one has a copy.
  if (hasLost) return true
  // The switch has never had the value on the side that it was deleted from: nothing there tells of it.
  const since = Math.max(0, ...lost.filter((at) => at < write.savedAt))
  return !within(value.seenOn.off, since, write.savedAt)
}
