export { FileWatch, filesOf } from './flagfile/index.ts'
export type { FileWatchOptions } from './flagfile/index.ts'
