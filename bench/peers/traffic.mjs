/**
 * An open loop: a fixed number of operations a second, whatever each takes. Latencies count from the
 * moment at which an operation was due to begin once the loop got round to it.
 */
import { setTimeout as delay } from 'node:timers/promises'

export async function traffic({ seconds, perSecond, operation }) {
  const done = []
  let failed = 0
  const start = performance.now()
  for (let i = 0; i < seconds * perSecond; i += 1) {
    const due = start + (i * 1000) / perSecond
    const early = due - performance.now()
    if (early > 0) await delay(early)
    const beganAt = performance.now()
    const one = { beganAt, ms: Infinity }
    done.push(one)
    operation(i).then(
      () => (one.ms = performance.now() - beganAt),
      () => {
        failed += 1
        one.ms = performance.now() - beganAt
      },
    )
  }
  await delay(1000)
  const pending = done.filter(({ ms }) => ms === Infinity).length
  return { operations: done, failed: failed + pending }
}

export function quantile(operations, share) {
  const sorted = operations.map(({ ms }) => ms).sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
}
