/**
 * For authors of backends: the contract, and what the backends here are built from. The conformance suite
 * that a backend must pass is `openfeature-switchback/testing`.
 *
 * @packageDocumentation
 */
export * from './backend.ts'
export * from './cell.ts'
export {
  type Envelope,
  newToken,
  openEnvelope,
  sealEnvelope,
  tombstoneEnvelope,
  valueEnvelope,
} from './envelope.ts'
export { checkKey, MAX_KEY_BYTES, storageKey } from './storage-key.ts'
