import { AsyncLocalStorage } from 'node:async_hooks'
import { runAs } from '../../flags/index.ts'
import type { CacheSwitch, CacheView, OperationInfo } from '../../switch/index.ts'

/** What the cache did for one request (the last operation counts), for the response headers. */
export interface CacheTrace {
  operation: OperationInfo | undefined
}

const traces = new AsyncLocalStorage<CacheTrace>()

/** Runs what a request needs with its user as OpenFeature's transaction context. */
export function asUser(userId: string, trace: CacheTrace, work: () => void): void {
  runAs(userId, () => traces.run(trace, work))
}

/** The cache for business code: it finds the user itself and reports to the request. */
export function tracedCache(cache: CacheSwitch): CacheView {
  return cache.for(undefined, {
    onOperation: (info) => {
      const trace = traces.getStore()
      if (trace !== undefined) trace.operation = info
    },
  })
}
