/** One attempt at a change, whatever its result. The flag's history holds what was written. */
export interface AuditLine {
  /** ISO 8601, UTC. */
  readonly at: string
  /** The address that asked. */
  readonly from: string
  /** The name that was given; `''` without one. */
  readonly who: string
  /** E.g. `/api/share`. */
  readonly action: string
  readonly status: number
  /** `done`, or the code of the problem. */
  readonly outcome: string
  readonly ms: number
}
