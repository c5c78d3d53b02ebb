import type { Recorder } from './recorder.ts'

function nothing(): void {}

/** Counts nothing. */
export const noTelemetry: Recorder = Object.freeze({
  operation: nothing,
  bucketOf: () => 0,
  decision: nothing,
  event: nothing,
  originLoad: nothing,
  bytes: nothing,
  comparison: nothing,
})
