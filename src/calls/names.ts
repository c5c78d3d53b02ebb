import { noTelemetry, type Recorder } from '../telemetry/index.ts'
import { requireThat } from './call/method-plan.ts'

/** Names in use, by what counts them. */
const TAKEN = new WeakMap<Recorder, Set<string>>()

/**
 * Two switches of one name would add up their counts and hide each other's state.
 *
 * @throws {SwitchbackError} `SB_OPTION_INVALID`
 */
export function requireFreeName(recorder: Recorder, name: string): void {
  const free = TAKEN.get(recorder)?.has(name) !== true
  requireThat(free, 'name', name, 'another name: a switch of this name counts on this telemetry')
}

/** @returns the way to give the name back */
export function takeName(recorder: Recorder, name: string): () => void {
  if (recorder === noTelemetry) return () => {}
  const taken = TAKEN.get(recorder) ?? new Set<string>()
  TAKEN.set(recorder, taken)
  taken.add(name)
  return () => void taken.delete(name)
}
