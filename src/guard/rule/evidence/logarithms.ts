/** `ln sum exp x_i` without overflow. */
export function logSumExp(values: readonly number[]): number {
  const top = Math.max(-Infinity, ...values)
  if (!Number.isFinite(top)) return top
  let total = 0
  for (const value of values) total += Math.exp(value - top)
  return top + Math.log(total)
}

/** `ln mean exp x_i`. */
export function logMeanExp(values: readonly number[]): number {
  return logSumExp(values) - Math.log(values.length)
}

/** `ln n!`, by Stirling's series from 16 on, with errors below 1e-12. */
export function logFactorial(n: number): number {
  if (n < 16) {
    let product = 1
    for (let i = 2; i <= n; i++) product *= i
    return Math.log(product)
  }
  const x = n + 1
  return (
    (x - 0.5) * Math.log(x) -
    x +
    0.5 * Math.log(2 * Math.PI) +
    1 / (12 * x) -
    1 / (360 * x ** 3) +
    1 / (1260 * x ** 5)
  )
}
