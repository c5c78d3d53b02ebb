import type { Reading } from './reading.ts'

/** Where the numbers of the replicas come from. */
export interface MetricsSource {
  /** For logs: addresses without credentials. */
  readonly name: string
  /**
   * Asks everybody once. Never rejects: who does not answer in time, or not sensibly, is a failure
   * with a name, and the others' readings count.
   */
  poll(signal?: AbortSignal): Promise<Poll>
}

export interface Poll {
  readonly readings: readonly Reading[]
  readonly failures: readonly Failure[]
}

export interface Failure {
  readonly replica: string
  readonly message: string
}
