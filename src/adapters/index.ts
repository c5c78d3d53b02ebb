/** A cache behind the interfaces of other libraries. None of them is imported: their shapes are enough. */
export { type KeyvCache, type KeyvEntry, type KeyvStore, keyvStore } from './keyv-store.ts'
export { type UnstorageCalls, type UnstorageDriver, unstorageDriver } from './unstorage-driver.ts'
