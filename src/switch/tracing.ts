import { tracingChannel, type TracingChannel } from 'node:diagnostics_channel'
import type { OperationTrace } from './operation.ts'

export const OPERATION_CHANNEL: TracingChannel<string, OperationTrace> =
  tracingChannel('switchback:operation')
