import { randomBytes } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { ABSENT, ANY, type CacheBackend, type Cell, storageKey } from '../../src/cache/index.ts'
import type { MakeBackend } from '../../src/cache/testing/index.ts'

/** Ways in which a backend can be wrong, one at a time. */
export type Flaw =
  | 'ignores-expect'
  | 'keeps-token'
  | 'forgets-tombstones'
  | 'tombstone-ends-early'
  | 'tombstone-in-seconds'
  | 'tombstone-keeps-expiry'
  | 'tombstone-not-renewed'
  | 'not-atomic'
  | 'renews-expiry'
  | 'well-forms-keys'
  | 'well-forms-payloads'
  | 'clears-all'
  | 'late-writes'

/** The smallest correct backend, or one with a single flaw, to prove that the suite finds it. */
export function memoryBackends(flaw?: Flaw): MakeBackend {
  const namespaces = new Map<string, Map<string, Cell>>()
  return ({ namespace, tombstoneTtl }) => {
    const cells = namespaces.get(namespace) ?? new Map<string, Cell>()
    namespaces.set(namespace, cells)

    const ends = new Map<string, number>()
    const read = (key: string): Cell => {
      storageKey(key)
      const cell = cells.get(flaw === 'well-forms-keys' ? Buffer.from(key).toString() : key)
      if (cell === undefined) return ABSENT
      const dies = Math.max(cell.expiresAt, cell.writtenAt) + tombstoneTtl
      const early =
        flaw === 'tombstone-ends-early'
          ? tombstoneTtl * 0.9
          : flaw === 'tombstone-in-seconds'
            ? tombstoneTtl % 1000
            : 0
      if (Date.now() >= (ends.get(key) ?? Infinity)) return ABSENT
      if (Date.now() >= dies - early) return { ...ABSENT, token: cell.token }
      if (cell.state === 'value' && Date.now() >= cell.expiresAt) {
        return { ...cell, state: 'expired', payload: '' }
      }
      return cell
    }
    const store = (key: string, cell: Omit<Cell, 'token' | 'writtenAt'>): string => {
      const token =
        flaw === 'keeps-token' && cells.has(key)
          ? read(key).token
          : randomBytes(9).toString('base64url')
      const name = flaw === 'well-forms-keys' ? Buffer.from(key).toString() : key
      cells.set(name, { ...cell, token, writtenAt: Date.now() })
      return token
    }
    const backend: CacheBackend = {
      name: 'memory',
      tombstoneTtl,
      read,
      async write(key, { payload, expiresAt }, { expect, within }) {
        const { token } = read(key)
        if (flaw === 'not-atomic') await setImmediate()
        if (within < 0 && flaw !== 'late-writes') return { written: false, token: '' }
        if (expect !== ANY && expect !== token && flaw !== 'ignores-expect') {
          return { written: false, token: '' }
        }
        return {
          written: true,
          token: store(key, {
            state: 'value',
            payload: flaw === 'well-forms-payloads' ? Buffer.from(payload).toString() : payload,
            expiresAt: flaw === 'renews-expiry' ? expiresAt + 50 : expiresAt,
            successor: '',
          }),
        }
      },
      invalidate(key, { notBefore = 0, successor = '' }) {
        if (Date.now() < notBefore) return { done: false, existed: false, token: '' }
        const { state, expiresAt, writtenAt } = read(key)
        const existed = state === 'value'
        if (flaw === 'tombstone-keeps-expiry' && existed) ends.set(key, expiresAt)
        if (flaw === 'tombstone-not-renewed' && state === 'tombstone') {
          ends.set(key, writtenAt + tombstoneTtl)
        }
        const token = store(key, { state: 'tombstone', payload: '', expiresAt: 0, successor })
        if (flaw === 'forgets-tombstones') cells.delete(key)
        return { done: true, existed, token }
      },
      async clear({ signal } = {}) {
        signal?.throwIfAborted()
        const cleared = flaw === 'clears-all' ? [...namespaces.values()] : [cells]
        for (const map of cleared) map.clear()
      },
      now: Date.now,
      ping() {},
      async close() {},
    }
    return backend
  }
}

/** A backend whose store is gone; with a list, the calls that do not say so. */
export function goneBackend(...silent: readonly string[]): CacheBackend {
  const backend = memoryBackends()({ namespace: 'gone', tombstoneTtl: 1000 }) as CacheBackend
  for (const name of ['read', 'write', 'invalidate', 'clear', 'ping'] as const) {
    if (silent.includes(name)) continue
    Object.assign(backend, {
      [name]: () => Promise.reject(new Error('the store is gone')),
    })
  }
  return backend
}
