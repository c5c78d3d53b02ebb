/** The cache in local files: the side that a team usually starts from, and the machine's ledger. */
export { type FileCache, fileCache } from './file-cache.ts'
export type { FileCacheOptions } from './options.ts'
export { inspectStores, type StoreReport } from './inspect.ts'
