import type { Reading } from './reading.ts'

/** Where the numbers of the replicas come from. */
export interface MetricsSource {
  /** For logs: addresses without credentials. */
  readonly name: string
  /** Replicas that somebody named, each of which is expected to answer. @default none */
  readonly named?: readonly string[]
  /**
   * Reads all replicas once. Never rejects: a replica that does not answer in time, or not validly,
   * is a named failure, and the readings of the others count.
   */
  poll(signal?: AbortSignal): Promise<Poll>
}

export interface Poll {
  readonly readings: readonly Reading[]
  readonly failures: readonly Failure[]
  /**
   * What the rule needs and the source does not have, a sentence each: not a failure of a replica, and it
   * does not end by itself.
   */
  readonly missing?: readonly string[]
}

export interface Failure {
  readonly replica: string
  readonly message: string
}
