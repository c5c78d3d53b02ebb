import type { Decision } from './decision.ts'
import type { Side } from '../../side.ts'

/** One answer of the flag, in the three ways in which it may be given again. Shared and frozen. */
export interface FlagAnswer {
  readonly live: Decision
  readonly remembered: Decision
  readonly held: Decision
}

export interface AnswerParts {
  readonly side: Side
  readonly variant: string
  readonly reason: string
  readonly errorCode: string
}

/** Bounds the memory against a provider that makes up reasons. */
const MAX_SHARED = 256

/** Makes equal answers one object: a million users share a handful. */
export class FlagAnswers {
  readonly #shared = new Map<string, FlagAnswer>()
  readonly #last: { [side in Side]?: FlagAnswer } = {}

  of(parts: AnswerParts): FlagAnswer {
    const { side, variant, reason, errorCode } = parts
    const last = this.#last[side]
    // Most follow one of the same kind.
    if (
      last?.live.variant === variant &&
      last.live.reason === reason &&
      last.live.errorCode === errorCode
    ) {
      return last
    }
    return this.#named(parts)
  }

  #named(parts: AnswerParts): FlagAnswer {
    const name = JSON.stringify([parts.side, parts.variant, parts.reason, parts.errorCode])
    const known = this.#shared.get(name)
    if (known !== undefined) return (this.#last[parts.side] = known)
    const answer = {
      live: Object.freeze({ ...parts, source: 'live' as const }),
      remembered: Object.freeze({ ...parts, source: 'remembered' as const }),
      held: Object.freeze({ ...parts, source: 'held' as const }),
    }
    if (this.#shared.size < MAX_SHARED) this.#shared.set(name, answer)
    return answer
  }
}

/** For users without a known answer while the flag service does not answer. */
export const NOT_ANSWERED: Decision = Object.freeze({
  side: 'off',
  variant: '',
  reason: 'ERROR',
  errorCode: 'GENERAL',
  source: 'default',
})

/** Remembered for these users, so that their next operation does not wait again. */
export const UNANSWERED: FlagAnswer = {
  live: NOT_ANSWERED,
  remembered: NOT_ANSWERED,
  held: NOT_ANSWERED,
}
