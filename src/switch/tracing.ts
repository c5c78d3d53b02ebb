import { tracingChannel, type TracingChannel } from 'node:diagnostics_channel'
import type { OperationInfo } from './operation.ts'

/** What `diagnostics_channel.tracingChannel('switchback:operation')` passes around for one operation. */
export interface OperationTrace extends Partial<Omit<OperationInfo, 'operation'>> {
  /** The method that was called: `get`, `set`, `clear` and so on. */
  readonly operation: string
  /** The cache's name. */
  readonly cache: string
}

export const OPERATIONS: TracingChannel<string, OperationTrace> =
  tracingChannel('switchback:operation')
