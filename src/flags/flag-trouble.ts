import { quote } from '../errors.ts'

/** Milliseconds without one good answer after which an error of the flag is everybody's. */
const LASTING_MS = 60_000

/**
 * What is wrong with the flag itself, as the answers of a service that is well show it. Some errors
 * depend on the user (a rule that fails for some contexts, a missing targeting key): those count only
 * while nobody gets a good answer.
 */
export class FlagTrouble {
  #code = ''
  #message = ''
  #rightAt = Number.NEGATIVE_INFINITY

  /** OpenFeature's error code; `''` while nothing is wrong. */
  get code(): string {
    return this.#code
  }

  /** For people: what is wrong, who is off, and what to do. */
  get detail(): string {
    const told = this.#message === '' ? '' : `: ${quote(this.#message)}`
    return `${MEANINGS[this.#code] ?? OTHERWISE} (${this.#code}${told})`
  }

  /** The flag, or a part of its rules, is another one: earlier answers say nothing. */
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

const KEPT = 'known users keep their side, all others are off'

const MEANINGS: Readonly<Record<string, string>> = {
  FLAG_NOT_FOUND:
    'there is no such flag, so all users are on the old side; add it to the flags, or correct its key in the code',
  TYPE_MISMATCH: `it is no boolean flag; ${KEPT}; give its variants the values true and false`,
  PARSE_ERROR: `its rule cannot be evaluated; ${KEPT}; correct the rule`,
  TARGETING_KEY_MISSING: `it needs a targeting key and gets none; ${KEPT}; pass targetingKey, or use runAs`,
}
const OTHERWISE = `its evaluation is refused; ${KEPT}; correct its rule or the attributes it is asked with`
