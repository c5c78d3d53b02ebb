/** A cache behind the interfaces of other libraries. None of them is imported: their shapes are enough. */
export { type KeyvStore, keyvStore } from './keyv-store.ts'
export { type UnstorageDriver, unstorageDriver } from './unstorage-driver.ts'
