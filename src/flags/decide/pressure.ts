/**
 * Evaluations under way in this process for operations that wait for them, across all deciders.
 * Work that is not urgent on the shared event loop lets them go first.
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
