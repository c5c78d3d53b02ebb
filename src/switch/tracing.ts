import { tracingChannel, type TracingChannel } from 'node:diagnostics_channel'
import type { OperationTrace } from './operation.ts'

export const OPERATIONS: TracingChannel<string, OperationTrace> =
  tracingChannel('switchback:operation')
