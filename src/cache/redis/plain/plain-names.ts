import { isWellFormed } from '../../envelope.ts'
import { checkKey, hashedKey, isNamedKey, storageKey } from '../../storage-key.ts'
import { keySlot } from '../servers/key-slot.ts'

/** Before all that a cache of plain values keeps for itself. */
export const PLAIN_SPACE = 'switchback:plain:'
/** What begins every companion's name. */
export const COMPANIONS: string = `${PLAIN_SPACE}{`

/**
 * Where a value is that keeps the application's own key, and where its companion: in the same slot of a Cluster,
 * which goes by the part in braces. Of `a:{b}c` that is `switchback:plain:{b}:a:{b}c`, of `abc`
 * `switchback:plain:{abc}`; of a name that cannot stand in braces, another text of the same slot.
 */
export class PlainNames {
  readonly #prefix: string
  /** What the client puts before each key by itself: a part of what decides the slot. */
  readonly #clientPrefix: string

  constructor(prefix: string, clientPrefix: string) {
    this.#prefix = prefix
    this.#clientPrefix = clientPrefix
  }

  /** The name of the state, which no value has. */
  get state(): string {
    return `${PLAIN_SPACE}state:${encodeURIComponent(this.#prefix)}`
  }

  /** What changes, when a value does, begins with one of these. */
  get watched(): readonly string[] {
    return PLAIN_SPACE.startsWith(this.#prefix) ? [this.#prefix] : [this.#prefix, PLAIN_SPACE]
  }

  /** @throws SwitchbackError `SB_KEY_INVALID`, `SB_KEY_TOO_LONG` */
  valueOf(key: string): string {
    checkKey(key)
    if (isNamedKey(key)) return this.#prefix + storageKey(key)
    const name = this.#prefix + key
    // UTF-8 cannot carry the one, and the other is not the application's.
    return isWellFormed(key) && !name.startsWith(PLAIN_SPACE) ? name : this.#prefix + hashedKey(key)
  }

  companionOf(value: string): string {
    const physical = this.#clientPrefix + value
    const open = physical.indexOf('{')
    const close = open === -1 ? -1 : physical.indexOf('}', open + 1)
    if (close > open + 1) return `${COMPANIONS}${physical.slice(open + 1, close)}}:${value}`
    if (!physical.includes('}')) return `${COMPANIONS}${physical}}`
    return `${COMPANIONS}${textOfSlot(keySlot(physical))}}#${value}`
  }

  /** The name of the value whose companion, or which itself, has this name; `undefined`: not of this cache. */
  ofChanged(name: string): string | undefined {
    let value = name
    if (name.startsWith(PLAIN_SPACE)) {
      if (!name.startsWith(COMPANIONS)) return undefined
      const close = name.indexOf('}', COMPANIONS.length)
      value =
        close === name.length - 1
          ? name.slice(COMPANIONS.length + this.#clientPrefix.length, close)
          : name.slice(close + 2)
    }
    return value.startsWith(this.#prefix) ? value : undefined
  }

  /** Under which names (`storageKey`) a value's change is to be told: a hash may stand for either of two keys. */
  toldAs(value: string): readonly string[] {
    const key = value.slice(this.#prefix.length)
    if (key === '') return []
    return /^#[\w-]{43}$/.test(key) ? [key, storageKey(key)] : [storageKey(key)]
  }
}

let texts: Map<number, string> | undefined

/** A text of that slot, for the rare name that has braces and no part in them. */
function textOfSlot(slot: number): string {
  if (texts === undefined) {
    texts = new Map()
    for (let i = 0; texts.size < 16_384; i += 1) {
      const text = i.toString(36)
      const found = keySlot(text)
      if (!texts.has(found)) texts.set(found, text)
    }
  }
  return texts.get(slot)!
}
