/** Where Go's evaluator panics, flagd answers PARSE_ERROR. One error for all: nobody reads its stack. */
export const PANIC: Error = new Error('the rule cannot be evaluated')

export function panic(): never {
  throw PANIC
}

/**
 * Steps that one compilation or one evaluation may take. flagd has no such bound and stands still for
 * as long as a rule takes; a rule that people write takes some dozens.
 */
const MOST_STEPS = 1_000_000

let left = MOST_STEPS

/** Begins a compilation or an evaluation. */
export function beginWork(): void {
  left = MOST_STEPS
}

/** Accounts for work whose amount the rule alone does not bound. */
export function spend(steps: number): void {
  left -= steps
  if (left < 0) panic()
}
