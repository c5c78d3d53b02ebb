import { setTimeout as sleep } from 'node:timers/promises'
import { isSwitchbackError, SwitchbackError } from '../../errors.ts'
import type { PublishedStatus } from '../../guard/index.ts'
import {
  type Applied,
  changedByOthers,
  entryOf,
  type FlagsEdit,
  type FlagsPlace,
  hashOf,
  type HistoryEntry,
  linesOf,
  type OutsideFound,
  type WriteOptions,
  whyFailing,
} from '../../rollout/index.ts'
import {
  ConflictError,
  type KubernetesApi,
  type KubernetesObject,
  type ObjectPath,
} from '../kubernetes/kubernetes-api.ts'
import { historyOf, keeperOf, lastGoodOf, noted } from './annotations.ts'
import { GuardLease, statusOn } from './guard-lease.ts'

/** How the flags are kept in one kind of object. */
export interface ObjectKind {
  readonly path: ObjectPath
  /** As in `--target`. */
  readonly title: string
  /** How long a change may need until the processes have it, in ms. */
  readonly reachMs: number
  /** @throws {SwitchbackError} `SB_FILE_MISSING` when it has no flags */
  read(object: KubernetesObject): string | undefined
  write(object: KubernetesObject, text: string): KubernetesObject
  /** @throws {SwitchbackError} when the object itself forbids a change */
  refuse(object: KubernetesObject): void
  /** A text as it will be read after it was written. */
  stored(text: string): string
}

export interface ObjectPlaceOptions {
  readonly kind: ObjectKind
  readonly api: KubernetesApi
  readonly beside: string
  /** The Lease of the guard of this flag. */
  readonly lease: ObjectPath
}

/** So many writes of others may come in between; each of them changes the version. */
const ATTEMPTS = 30

/**
 * Flags in an object of Kubernetes. The `resourceVersion` of what was read goes with each write, so
 * that nothing is overwritten unseen; flags, history and last good text are one write.
 */
export class ObjectPlace implements FlagsPlace {
  readonly beside: string
  readonly byHand: string
  readonly reachMs: number
  readonly #kind: ObjectKind
  readonly #api: KubernetesApi
  readonly #lease: ObjectPath

  constructor({ kind, api, beside, lease }: ObjectPlaceOptions) {
    this.#kind = kind
    this.#api = api
    this.#lease = lease
    this.beside = beside
    this.reachMs = kind.reachMs
    this.byHand = `correct it by hand: kubectl edit ${kind.title.split('/').slice(0, 2).join('/')}`
  }

  toString(): string {
    return this.#kind.title
  }

  toJSON(): string {
    return this.#kind.title
  }

  /** Writes the object as it is, without effect on the server: so the right to write is asked for too. */
  async check(): Promise<void> {
    const object = await this.#get()
    this.#kind.refuse(object)
    try {
      await this.#api.put(dryRun(this.#kind.path), object)
    } catch (error) {
      if (!(error instanceof ConflictError)) throw error
      // Somebody wrote in between, which says nothing about the rights: they were looked at before.
    }
  }

  /**
   * What guards on other machines share with this one.
   *
   * @param name of this guard, as the other one shows it
   * @throws {SwitchbackError} as {@link KubernetesApi.get}, e.g. when nobody made the Lease
   */
  async guardLease(name: string): Promise<GuardLease> {
    await this.#api.get(this.#lease)
    return new GuardLease({ api: this.#api, path: this.#lease, name })
  }

  /** What the guard that holds the Lease has told last, on whichever machine it runs. */
  async guardStatus(): Promise<PublishedStatus | undefined> {
    return statusOn(await this.#api.get(this.#lease))
  }

  async read(): Promise<string> {
    return this.#textOf(await this.#get())
  }

  async history(): Promise<HistoryEntry[]> {
    return historyOf(await this.#get())
  }

  async stamp(): Promise<string> {
    return (await this.#get()).metadata.resourceVersion
  }

  async lastGood(): Promise<string | undefined> {
    return lastGoodOf(await this.#get())
  }

  async write(edit: FlagsEdit, { by, signal }: WriteOptions): Promise<Applied> {
    const text = this.#kind.stored(edit.after.text)
    const hash = hashOf(text)
    const entry: HistoryEntry = { ...entryOf(edit, by), after: hash }
    const restoring = edit.action === 'restore'
    let warning = ''
    const at = await this.#change(async (object) => {
      const before = this.#textIn(object)
      if (hashOf(before ?? '') !== edit.before.hash) throw changedByOthers(String(this))
      const history = historyOf(object)
      warning = keeperOf(object)
      const lines = await linesOf(this, edit, entry, history)
      return noted(this.#kind.write(object, text), {
        history: [...history, ...lines],
        ...(whyFailing(edit.after, edit.flag) === '' ? { lastGood: text } : {}),
        ...(restoring && before !== undefined ? { broken: before } : {}),
      })
    }, signal)
    const aside = restoring
      ? 'the broken flags are kept in the annotation openfeature-switchback/broken'
      : ''
    const warnings = [aside, warning].filter((each) => each !== '')
    return { file: String(this), hash, at, history: entry, warning: warnings.join('; ') }
  }

  async record({ entries, hash }: OutsideFound): Promise<boolean> {
    let recorded = true
    await this.#change(async (object) => {
      const history = historyOf(object)
      const last = history.at(-1)
      const stands = last === undefined || last.after === entries[0]?.before
      recorded = stands && hashOf(this.#textIn(object) ?? '') === hash
      return recorded ? noted(object, { history: [...history, ...entries] }) : undefined
    })
    return recorded
  }

  #get(signal?: AbortSignal): Promise<KubernetesObject> {
    return this.#api.get(this.#kind.path, signal)
  }

  /**
   * Reads, changes and writes until nobody else was faster. An answer that was lost is not asked for
   * again blindly: the object tells by its history whether the write has arrived.
   *
   * @param change `undefined`: nothing is to be written
   * @returns `performance.now()` of the write
   */
  async #change(
    change: (object: KubernetesObject) => Promise<KubernetesObject | undefined>,
    signal?: AbortSignal,
  ): Promise<number> {
    let sent: string | undefined
    for (let left = ATTEMPTS; ; left--) {
      const object = await this.#get(signal).catch((error: unknown) => {
        throw sent === undefined ? error : perhapsWritten(error)
      })
      if (sent !== undefined && historyOf(object).some(({ id }) => id === sent)) {
        return performance.now()
      }
      const changed = await change(object)
      if (changed === undefined) return performance.now()
      this.#kind.refuse(object)
      try {
        const at = performance.now()
        await this.#api.put(this.#kind.path, changed, signal)
        return at
      } catch (error) {
        const lost = isSwitchbackError(error) && error.code === 'SB_KUBERNETES_AWAY'
        if (left === 0 || (!lost && !(error instanceof ConflictError))) {
          throw error instanceof ConflictError ? changedByOthers(String(this)) : error
        }
        if (lost) {
          sent = historyOf(changed).at(-1)?.id
          left = Math.min(left, 3)
        }
        await sleep(Math.random() * 20, undefined, signal && { signal })
      }
    }
  }

  #textOf(object: KubernetesObject): string {
    return this.#kind.read(object) ?? ''
  }

  /** `undefined` when there is none. */
  #textIn(object: KubernetesObject): string | undefined {
    try {
      return this.#kind.read(object)
    } catch (error) {
      if (isSwitchbackError(error) && error.code === 'SB_FILE_MISSING') return undefined
      throw error
    }
  }
}

function perhapsWritten(error: unknown): unknown {
  if (!isSwitchbackError(error)) return error
  return new SwitchbackError(error.code, `${error.message}; the change may have been written`, {
    hint: 'look at switchback status when it answers again, then decide',
    cause: error,
  })
}

function dryRun(path: ObjectPath): ObjectPath {
  return { ...path, path: `${path.path}?dryRun=All` }
}
