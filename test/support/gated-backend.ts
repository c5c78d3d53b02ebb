import type {
  CacheBackend,
  Cell,
  ChangeListener,
  Entry,
  EraVerdict,
  Following,
  Heard,
  InvalidateOptions,
  InvalidateResult,
  Ledger,
  ManyCells,
  MaybePromise,
  Membership,
  WriteOptions,
  WriteResult,
} from '../../src/cache/index.ts'

type Step = 'read' | 'write' | 'invalidate'
type Moment = 'before' | 'after'

/** One operation held at one step, until it is released. */
export interface Gate {
  /** Resolves when an operation stands at the gate. */
  readonly reached: Promise<void>
  /** Lets it go on. */
  open(): void
}

/**
 * A backend whose steps can be held, so that a test can walk through one exact schedule. `before` holds
 * the operation before the store has seen it, `after` when the store has applied it and the caller does
 * not know yet.
 */
export class GatedBackend implements CacheBackend {
  readonly inner: CacheBackend
  readonly ledger?: Ledger
  readonly board?: NonNullable<CacheBackend['board']>
  readonly renew?: () => Promise<void>
  readonly names?: NonNullable<CacheBackend['names']>
  readonly follow?: (listener: ChangeListener) => Following
  readonly many?: ManyCells
  readonly shared: boolean
  readonly onEra?: (listener: (heard: Heard) => MaybePromise<EraVerdict>) => () => void
  readonly calls: Record<Step, number> = { read: 0, write: 0, invalidate: 0 }
  readonly #gates = new Map<string, { arrive: () => void; opened: Promise<void> }[]>()

  constructor(inner: CacheBackend) {
    this.inner = inner
    if (inner.ledger !== undefined) this.ledger = inner.ledger
    this.shared = inner.shared ?? false
    if (inner.board !== undefined) this.board = inner.board
    if (inner.follow !== undefined) this.follow = inner.follow.bind(inner)
    if (inner.names !== undefined) this.names = inner.names.bind(inner)
    const { many } = inner
    if (many !== undefined) {
      this.many = {
        ...(many.claim !== undefined && { claim: many.claim.bind(many) }),
        read: (keys) => this.#through('read', () => many.read(keys)),
        write: (writes, within) => this.#through('write', () => many.write(writes, within)),
      }
    }
    if (inner.renew !== undefined) this.renew = inner.renew.bind(inner)
    if (inner.onEra !== undefined) this.onEra = inner.onEra.bind(inner)
  }

  get name(): string {
    return this.inner.name
  }

  get tombstoneTtl(): number {
    return this.inner.tombstoneTtl
  }

  /** Holds the next operation that comes to this step; several gates are met in turn. */
  hold(step: Step, moment: Moment): Gate {
    let open = (): void => {}
    let arrive = (): void => {}
    const opened = new Promise<void>((resolve) => {
      open = resolve
    })
    const reached = new Promise<void>((resolve) => {
      arrive = resolve
    })
    const waiting = this.#gates.get(`${moment} ${step}`) ?? []
    this.#gates.set(`${moment} ${step}`, [...waiting, { arrive, opened }])
    return { reached, open }
  }

  async read(key: string): Promise<Cell> {
    return this.#through('read', () => this.inner.read(key))
  }

  async write(key: string, entry: Entry, options: WriteOptions): Promise<WriteResult> {
    return this.#through('write', () => this.inner.write(key, entry, options))
  }

  async invalidate(key: string, options: InvalidateOptions): Promise<InvalidateResult> {
    return this.#through('invalidate', () => this.inner.invalidate(key, options))
  }

  clear(): Promise<void> {
    return this.inner.clear()
  }

  hides(key: string): MaybePromise<boolean> {
    return this.inner.hides?.(key) ?? false
  }

  skew(): number {
    return this.inner.skew?.() ?? 0
  }

  now(): number {
    return this.inner.now()
  }

  ping(): MaybePromise<void> {
    return this.inner.ping()
  }

  era(): number {
    return this.inner.era?.() ?? 0
  }

  recheck(): void {
    this.inner.recheck?.()
  }

  get space(): string {
    return this.inner.space ?? ''
  }

  join(membership: Membership): void {
    this.inner.join?.(membership)
  }

  close(): Promise<void> {
    return this.inner.close()
  }

  async #through<T>(step: Step, run: () => T | Promise<T>): Promise<T> {
    this.calls[step] += 1
    await this.#pass(`before ${step}`)
    const result = await run()
    await this.#pass(`after ${step}`)
    return result
  }

  async #pass(place: string): Promise<void> {
    const gate = this.#gates.get(place)?.shift()
    if (gate === undefined) return
    gate.arrive()
    await gate.opened
  }
}
