import { logFactorial } from './logarithms.ts'

/**
 * Logarithm of the Bayes factor of "users arrive in another ratio than the one set" against "in the
 * ratio set". A martingale under the latter: P(it ever exceeds 1000) <= 0.1 %
 * (docs/adr/0005-e-process.md).
 *
 * @param share of the users that was set for the new side, 0 to 1
 */
export function shareMismatch(treatment: number, control: number, share: number): number {
  const t = Math.floor(treatment)
  const c = Math.floor(control)
  const expected = (t === 0 ? 0 : t * Math.log(share)) + (c === 0 ? 0 : c * Math.log(1 - share))
  return logFactorial(t) + logFactorial(c) - logFactorial(t + c + 1) - expected
}

/**
 * Logarithm of the evidence that a wrong ratio is right again: how much better the users seen since
 * fit the share set than the share that was seen wrong. P(it ever exceeds 1000) <= 0.1 % while the
 * ratio is still wrong (docs/adr/0005-e-process.md).
 *
 * @param share of the users that was set for the new side, between 0 and 1
 * @param seen the wrong one, between 0 and 1
 */
export function shareMended(
  treatment: number,
  control: number,
  share: number,
  seen: number,
): number {
  return treatment * Math.log(share / seen) + control * Math.log((1 - share) / (1 - seen))
}
