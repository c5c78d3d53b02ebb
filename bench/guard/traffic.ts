import type { ArmPair } from '../../src/guard/rule/index.ts'
import { emptyPair } from '../../src/guard/rule/index.ts'
import { Random } from './random.ts'

/** How errors come: alone, in bursts that hit both arms, by user, with retries, in storms. */
export interface Weather {
  readonly bursts?: boolean
  /** Shape of the gamma distribution of the users' error rates (small: few users have most). */
  readonly byUser?: number
  /** Operations of the same user that fail after one failed. */
  readonly retries?: number
  /** One user fails 100 times in a second, about every 1,000 seconds. */
  readonly storms?: boolean
  /** One user makes this share of the traffic and fails ten times as often. */
  readonly whale?: number
}

export interface TrafficOptions {
  readonly seed: number
  readonly users?: number
  readonly perSecond?: number
  readonly weather?: Weather
}

const BUCKETS = 32

export interface UserCounts {
  readonly bad: Float64Array
  readonly total: Float64Array
}

/** Simulated users on both arms, second by second. */
export class Traffic {
  readonly random: Random
  /** Bad and all operations of each user on either arm so far: what an analysis per user is made of. */
  readonly byUser: Readonly<Record<'treatment' | 'control', UserCounts>>
  readonly #users: number
  readonly #perSecond: number
  readonly #weather: Weather
  readonly #rank: Float64Array
  readonly #bucket: Uint8Array
  readonly #factor: Float64Array
  #burst = 0

  constructor({ seed, users = 2000, perSecond = 100, weather = {} }: TrafficOptions) {
    this.random = new Random(seed)
    this.#users = users
    this.#perSecond = perSecond
    const zeros = (): UserCounts => ({
      bad: new Float64Array(users),
      total: new Float64Array(users),
    })
    this.byUser = { treatment: zeros(), control: zeros() }
    this.#weather = weather
    this.#rank = Float64Array.from({ length: users }, () => this.random.next())
    this.#bucket = Uint8Array.from({ length: users }, () => this.random.below(BUCKETS))
    this.#factor = Float64Array.from({ length: users }, () =>
      weather.byUser === undefined ? 1 : this.random.gamma(weather.byUser),
    )
    if (weather.whale !== undefined) this.#factor[0] = 10
  }

  /** What was counted by user before was of a baseline. */
  forgetUsers(): void {
    for (const { bad, total } of Object.values(this.byUser)) {
      bad.fill(0)
      total.fill(0)
    }
  }

  /** One second at this share of `on` and these rates. */
  second(share: number, controlRate: number, treatmentRate: number): ArmPair {
    const { random } = this
    const pair = emptyPair(BUCKETS)
    const { bursts, whale, retries, storms } = this.#weather
    if (bursts === true && this.#burst === 0 && random.next() < 1 / 300) this.#burst = 5
    const hot = this.#burst > 0 ? 50 : 1
    if (this.#burst > 0) this.#burst--
    // A Poisson number would say the same: what matters is how errors fall on arms and users.
    const operations = Math.floor(this.#perSecond + random.next())
    for (let i = 0; i < operations; i++) {
      const user =
        whale !== undefined && random.next() < whale ? 0 : Math.floor(random.next() * this.#users)
      const on = this.#rank[user]! < share
      const rate = Math.min(1, (on ? treatmentRate : controlRate) * hot * this.#factor[user]!)
      const arm = on ? pair.treatment : pair.control
      const bucket = this.#bucket[user]!
      const own = on ? this.byUser.treatment : this.byUser.control
      arm.total[bucket]!++
      own.total[user]!++
      if (rate === 0 || random.next() >= rate) continue
      const more = 1 + (retries ?? 0)
      arm.bad[bucket]! += more
      arm.total[bucket]! += more - 1
      own.bad[user]! += more
      own.total[user]! += more - 1
    }
    if (storms === true && random.next() < 1 / 1000) {
      const user = random.below(this.#users)
      const side = this.#rank[user]! < share ? 'treatment' : 'control'
      pair[side].bad[this.#bucket[user]!]! += 100
      pair[side].total[this.#bucket[user]!]! += 100
      this.byUser[side].bad[user]! += 100
      this.byUser[side].total[user]! += 100
    }
    return pair
  }
}
