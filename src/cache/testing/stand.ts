import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { ANY, type CacheBackend, type MaybePromise, type WriteResult } from '../backend.ts'
import { type Cell, NEVER } from '../cell.ts'
import { Witness } from './witness.ts'

/** What a case asks of the backend under test. */
export interface MakeBackendOptions {
  /**
   * Backends made with the same namespace must be handles on the same cells; with different ones they
   * must share nothing. A new namespace is empty.
   */
  readonly namespace: string
  /** The `tombstoneTtl` that the backend must have, in milliseconds. */
  readonly tombstoneTtl: number
}

export type MakeBackend = (options: MakeBackendOptions) => MaybePromise<CacheBackend>

export interface ConformanceOptions {
  /**
   * Whether two backends of one namespace are handles on the same cells. False for a store that lives
   * in one object. @default true
   */
  readonly shared?: boolean
  /** Whether the store refuses a write whose `within` has passed. @default true */
  readonly refusesLateWrites?: boolean
  /** Whether the store honours `notBefore`. @default true */
  readonly honoursNotBefore?: boolean
  /** Whether the store must have a {@link CacheBackend.ledger}. @default false */
  readonly ledger?: boolean
  /**
   * Makes a backend whose store cannot be reached (a port where nobody listens, a directory that is none), to
   * see that its calls fail; `'never'` for memory of this process, which is always there.
   * @default none: the cases that need it fail, and say so
   */
  readonly outOfReach?: MakeBackend | 'never'
  /**
   * What the store takes for a payload: `any` string, or `json` texts only, as a store of plain values does.
   * @default 'any'
   */
  readonly payloads?: 'any' | 'json'
  /** Length of the largest payload tried, in characters. @default 1_048_576 */
  readonly largestPayload?: number
}

/** One named expectation. Register `run` with any test runner; it rejects when the backend fails. */
export interface ConformanceCase {
  readonly name: string
  run(): Promise<void>
}

/** Far longer than any case takes: the lifetime of what must not end while it is looked at. */
export const LONG = 600_000

/** The backends of one case, closed at its end. */
export class CaseBackends {
  readonly #make: MakeBackend
  readonly #shared: boolean
  readonly #outOfReach: ConformanceOptions['outOfReach']
  readonly #json: boolean
  readonly #witness = new Witness()
  readonly #made: CacheBackend[] = []
  readonly #namespace = `conformance-${randomBytes(6).toString('hex')}`

  constructor(make: MakeBackend, options: ConformanceOptions) {
    this.#make = make
    this.#shared = options.shared ?? true
    this.#outOfReach = options.outOfReach
    this.#json = options.payloads === 'json'
  }

  async backend(tombstoneTtl: number = LONG, namespace: string = 'a'): Promise<CacheBackend> {
    const made = await this.#make({ namespace: `${this.#namespace}-${namespace}`, tombstoneTtl })
    this.#made.push(made)
    return this.#witness.watch(this.#json ? inJson(made) : made)
  }

  /** One whose store is not there. */
  async outOfReach(): Promise<CacheBackend> {
    const make = this.#outOfReach
    assert.ok(
      typeof make === 'function',
      "give backendConformance the option outOfReach: it makes a backend whose store cannot be reached, or is 'never'",
    )
    const made = await make({ namespace: `${this.#namespace}-gone`, tombstoneTtl: LONG })
    this.#made.push(made)
    return this.#witness.watch(this.#json ? inJson(made) : made)
  }

  /** The failure of a case, with its name and the calls that led to it. */
  failureOf(name: string, error: unknown): Error {
    const message = error instanceof Error ? error.message : String(error)
    return new Error(`"${name}": ${message}${this.#witness}`, { cause: error })
  }

  /** Two handles on the same cells, or the same one twice where a store cannot be shared. */
  async pair(): Promise<readonly [CacheBackend, CacheBackend]> {
    const first = await this.backend()
    return [first, this.#shared ? await this.backend() : first]
  }

  async close(): Promise<void> {
    await Promise.all(this.#made.map((backend) => backend.close()))
  }
}

/** Each payload as the JSON text of a string. */
function inJson(backend: CacheBackend): CacheBackend {
  const open = (cell: Cell): Cell =>
    cell.state === 'value' ? { ...cell, payload: String(JSON.parse(cell.payload)) } : cell
  const changed: Partial<CacheBackend> = {
    read: (key) => {
      const cell = backend.read(key)
      return cell instanceof Promise ? cell.then(open) : open(cell)
    },
    write: (key, entry, options) =>
      backend.write(key, { ...entry, payload: JSON.stringify(entry.payload) }, options),
  }
  return new Proxy(backend, {
    get: (target, name) => {
      const value: unknown =
        changed[name as keyof CacheBackend] ?? Reflect.get(target, name, target)
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    },
  })
}

export type Check = (stand: CaseBackends) => Promise<void>

/** By name. */
export type Cases = Readonly<Record<string, Check>>

/** Writes whatever the cell holds, and requires that it was written. */
export async function put(
  backend: CacheBackend,
  key: string,
  payload: string,
  expiresAt: number = NEVER,
): Promise<string> {
  const result = await backend.write(key, { payload, expiresAt }, { expect: ANY, within: LONG })
  assert.equal(result.written, true, 'an unconditional write must be written')
  return result.token
}

export async function putIf(
  backend: CacheBackend,
  key: string,
  payload: string,
  expect: string,
): Promise<WriteResult> {
  return backend.write(key, { payload, expiresAt: NEVER }, { expect, within: LONG })
}

export async function expectValue(
  backend: CacheBackend,
  key: string,
  payload: string,
): Promise<Cell> {
  const cell = await backend.read(key)
  assert.equal(cell.state, 'value', `${JSON.stringify(key).slice(0, 60)} must hold a value`)
  // Not assert.equal: its diff of two large texts takes minutes.
  assert.ok(cell.payload === payload, `${JSON.stringify(key).slice(0, 60)} reads back changed`)
  return cell
}

/** Reads until `done` returns true, which is called with every cell read on the way. */
export async function readUntil(
  backend: CacheBackend,
  key: string,
  done: (cell: Cell) => boolean,
): Promise<Cell> {
  const deadline = Date.now() + 10_000
  for (;;) {
    const cell = await backend.read(key)
    if (done(cell)) return cell
    assert.ok(Date.now() < deadline, `still ${cell.state} after 10 s`)
    await delay(10)
  }
}
