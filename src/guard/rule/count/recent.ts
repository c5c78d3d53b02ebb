import type { Stratum } from './increment.ts'

const OUTAGE_S = 10
const KEPT_S = 60

/** What both arms did in one poll. */
export interface Recent extends Stratum {
  readonly at: number
  readonly elapsedS: number
}

/** The last minute: an outage is seen in it before any statistics could, and it says how fast things go. */
export class RecentOperations {
  #polls: Recent[] = []

  add(poll: Recent): void {
    this.#polls.push(poll)
    while (this.#polls[0]!.at <= poll.at - KEPT_S) this.#polls.shift()
  }

  /** Goes on with these: another share is served, or another process takes over. */
  restart(polls: readonly Recent[] = []): void {
    this.#polls = [...polls]
  }

  /** At least half of treatment's operations of the last ten seconds were bad. */
  get outage(): boolean {
    const last = this.#polls.at(-1)?.at ?? 0
    const { badTreatment, treatment } = this.#sum(last - OUTAGE_S)
    return treatment > 0 && badTreatment * 2 >= treatment
  }

  /** Of the last minute, and over how many seconds that is. */
  get sum(): Stratum & { readonly seconds: number } {
    return this.#sum(-Infinity)
  }

  state(): readonly Recent[] {
    return this.#polls
  }

  #sum(after: number): Stratum & { readonly seconds: number } {
    const sum = { badTreatment: 0, treatment: 0, badControl: 0, control: 0, seconds: 0 }
    for (const poll of this.#polls) {
      if (poll.at <= after) continue
      sum.badTreatment += poll.badTreatment
      sum.treatment += poll.treatment
      sum.badControl += poll.badControl
      sum.control += poll.control
      sum.seconds += poll.elapsedS
    }
    return sum
  }
}
