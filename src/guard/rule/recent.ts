const RECENT_S = 10

/** The new side's operations in one poll. */
export interface Recent {
  readonly at: number
  readonly bad: number
  readonly total: number
}

/** The new side's last ten seconds: they show an outage before any statistics could. */
export class RecentOperations {
  #polls: Recent[]

  constructor(polls: readonly Recent[] = []) {
    this.#polls = [...polls]
  }

  add(poll: Recent): void {
    this.#polls.push(poll)
    while (this.#polls[0]!.at <= poll.at - RECENT_S) this.#polls.shift()
  }

  /** At least half of them were bad. */
  get outage(): boolean {
    let bad = 0
    let total = 0
    for (const poll of this.#polls) {
      bad += poll.bad
      total += poll.total
    }
    return total > 0 && bad * 2 >= total
  }

  state(): readonly Recent[] {
    return this.#polls
  }
}
