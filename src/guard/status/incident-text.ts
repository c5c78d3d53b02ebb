import { lasting, sharePercent } from '../rule/index.ts'
import type { Incident } from '../rule/index.ts'

const DONE: Readonly<Record<string, string>> = {
  failed: 'operations failed',
  degraded: 'operations degraded',
  'repeat-misses': 'repeat misses',
}

/** `32 operations degraded within 1 s; one incident proves nothing (harm so far 0.06 %, allowed 0.5 %)`. */
export function incidentText({ metric, bad, lastedS, patienceS, harm, allowed }: Incident): string {
  const what = `${bad} ${DONE[metric] ?? `bad of ${metric}`} within ${lasting(lastedS)}`
  const so =
    lastedS <= patienceS
      ? 'one incident proves nothing'
      : `longer than the ${lasting(patienceS)} that prove nothing`
  return `${what}; ${so} (harm so far ${sharePercent(harm)}, allowed ${sharePercent(allowed)})`
}
