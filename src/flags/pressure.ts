/**
 * Evaluations under way in this process for operations that wait for them. They share one event loop:
 * whatever is not urgent lets them go first, whichever decider they are of.
 */
let waitedFor = 0

export function evaluationBegins(): void {
  waitedFor++
}

export function evaluationEnds(): void {
  waitedFor--
}

export function somebodyWaits(): boolean {
  return waitedFor > 0
}
