import { quote } from '../../errors.ts'

/** Milliseconds without one good answer after which an error of the flag concerns all users. */
const LASTING_MS = 60_000

/**
 * What is wrong with the flag itself, according to a service that answers. Some errors depend on
 * the user (a rule that fails for some contexts, a missing targeting key): those count only while
 * no user gets a good answer.
 */
export class FlagTrouble {
  #code = ''
  #message = ''
  #rightAt = Number.NEGATIVE_INFINITY

  /** OpenFeature's error code; `''` while nothing is wrong. */
  get code(): string {
    return this.#code
  }

  /** For people: what is wrong, what it means, what to do. */
  get detail(): string {
    const told = this.#message === '' ? '' : `: ${quote(this.#message)}`
    return `${MEANINGS[this.#code] ?? OTHERWISE} (${this.#code}${told})`
  }

  /** The flag or a part of its rule has changed: earlier answers no longer count. */
  forget(): void {
    this.#rightAt = Number.NEGATIVE_INFINITY
  }

  right(): void {
    this.#rightAt = performance.now()
    this.#code = ''
  }

  wrong(code: string, message: string): void {
    if (code !== 'FLAG_NOT_FOUND' && performance.now() - this.#rightAt < LASTING_MS) return
    this.#code = code
    this.#message = code === 'FLAG_NOT_FOUND' ? '' : message
  }
}

const KEPT = 'known users keep their side, new users get the old side'

const MEANINGS: Readonly<Record<string, string>> = {
  FLAG_NOT_FOUND:
    'the flag does not exist; all users are on the old side. Add it to the flags, or correct its key in the code',
  TYPE_MISMATCH: `the flag is not boolean; ${KEPT}. Give its variants the values true and false`,
  PARSE_ERROR: `evaluating the rule failed; ${KEPT}. Correct the rule`,
  TARGETING_KEY_MISSING: `the targeting key is missing; ${KEPT}. Pass targetingKey, or use runAs`,
}
const OTHERWISE = `evaluating the flag failed; ${KEPT}. Check the rule and the evaluation context`
