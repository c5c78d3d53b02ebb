import {
  bucketOf,
  compileFlag,
  definitionHash,
  murmur3,
  readFlagSet,
  valueOfRule,
} from '../../flagfile/index.ts'
import { quote, SwitchbackError } from '../../errors.ts'
import type { Side } from '../../side.ts'
import {
  entriesOf,
  type FlagsDocument,
  type JsonNode,
  type JsonValue,
  positionAt,
  property,
  valueOf,
} from '../file/document.ts'
import { flagNode } from '../file/flag-members.ts'
import { refusalIn } from '../file/refused.ts'
import type { UserContext } from './evaluate.ts'

/** Why one user gets this result. */
export interface Explanation {
  /** Of the cache: only the value `true` is the new side. */
  readonly side: Side
  /** `''` when the default of the code applies, which is the old side. */
  readonly variant: string
  readonly value: JsonValue | undefined
  /** flagd's reason, e.g. `TARGETING_MATCH`; `ERROR` where the rule fails for this user. */
  readonly reason: string
  readonly errorCode: string
  /** Hash of the flag's definition, as processes report it. */
  readonly hash: string
  /** The conditions on the way, in order. */
  readonly conditions: readonly ConditionStep[]
  /** The line that decided. */
  readonly decided: DecidingLine
  /** Where a split decided: the user's place in it. */
  readonly bucket?: Bucket
}

export interface RuleLine {
  /** Counted from 1. */
  readonly line: number
  /** The line of the file, without its indentation. */
  readonly text: string
}

export interface ConditionStep extends RuleLine {
  readonly met: boolean
}

export interface DecidingLine extends RuleLine {
  readonly by: 'state' | 'default' | 'code default' | 'variant' | 'split' | 'rule'
}

/** A user's place in a split, in per cent of all places. */
export interface Bucket {
  /** What was hashed. */
  readonly hashed: string
  /** How it was formed, e.g. `flag key and targeting key`. */
  readonly by: string
  readonly place: number
  /** The variant there, and its range. */
  readonly variant: string
  readonly from: number
  readonly to: number
  /** Percentage points to the nearest boundary with another variant; `undefined` without one. */
  readonly distance: number | undefined
}

/**
 * Explains what a flags file gives one user, as flagd evaluates it: the conditions on the way, the line
 * that decided, and the user's place in the split.
 *
 * @throws {SwitchbackError} `SB_FLAG_UNKNOWN`; `SB_FLAGS_INVALID` for a file that flagd refuses
 */
export function explain(document: FlagsDocument, flag: string, user: UserContext): Explanation {
  const node = flagNode(document, flag)
  const refusal = refusalIn(document.text)
  if (refusal !== undefined) {
    const { line, column, message, fix } = refusal
    const what = `line ${line}, column ${column}: ${message}`
    throw new SwitchbackError('SB_FLAGS_INVALID', what, { hint: fix })
  }
  const definition = readFlagSet(document.text, 'the flags file').flags.get(flag)
  if (definition === undefined) {
    throw new SwitchbackError('SB_FLAG_UNKNOWN', `flagd ignores the flag ${quote(flag)}`, {
      hint: 'run switchback validate to see what is wrong',
    })
  }
  const { variant, value, reason, errorCode } = compileFlag(definition)(user)
  const walk = new Walk(document, flag, user)
  const targeting = property(node, 'targeting')
  const answered =
    definition.state === 'DISABLED'
      ? walk.stop('state', property(node, 'state') ?? node)
      : targeting === undefined || isEmpty(targeting)
        ? walk.byDefault(node)
        : walk.rule(targeting, node)
  return {
    side: value === true ? 'on' : 'off',
    variant,
    value,
    reason,
    errorCode,
    hash: definitionHash(definition),
    conditions: walk.conditions,
    ...answered,
  }
}

type End = Pick<Explanation, 'decided' | 'bucket'>

/** Shared rules may refer to each other; no real file goes deeper than this. */
const MOST_REFERENCES = 20

/** Follows a rule to the line that decides. */
class Walk {
  readonly conditions: ConditionStep[] = []
  readonly #document: FlagsDocument
  readonly #flag: string
  readonly #user: UserContext
  readonly #shared: ReadonlyMap<string, JsonNode>
  #references = 0

  constructor(document: FlagsDocument, flag: string, user: UserContext) {
    this.#document = document
    this.#flag = flag
    this.#user = user
    const shared = entriesOf(property(document.root, '$evaluators'))
    this.#shared = new Map(shared.map(([name, node]) => [name, node]))
  }

  stop(by: DecidingLine['by'], node: JsonNode): End {
    return { decided: { by, ...this.#line(node) } }
  }

  byDefault(flag: JsonNode): End {
    const variant = property(flag, 'defaultVariant')
    const given = variant?.type === 'string' && variant.value !== ''
    return this.stop(given ? 'default' : 'code default', variant ?? flag)
  }

  rule(node: JsonNode, flag: JsonNode): End {
    if (node.type === 'null' || isEmpty(node)) return this.byDefault(flag)
    const [only, second] = entriesOf(node)
    if (node.type !== 'object' || only === undefined || second !== undefined) {
      return this.stop('variant', node)
    }
    const [operator, args] = only
    const shared = operator === '$ref' ? this.#shared.get(String(args.value)) : undefined
    if (shared !== undefined && ++this.#references < MOST_REFERENCES) return this.rule(shared, flag)
    if (operator === 'if' && args.type === 'array') return this.#branch(args.children ?? [], flag)
    if (operator === 'fractional') return this.#split(node, args, flag)
    return this.#evaluate(node) === null ? this.byDefault(flag) : this.stop('rule', node)
  }

  #branch(parts: readonly JsonNode[], flag: JsonNode): End {
    for (let index = 0; index + 1 < parts.length; index += 2) {
      const [test, result] = [parts[index], parts[index + 1]]
      if (test === undefined || result === undefined) break
      const met = valueOfRule({ '!!': [this.#plain(test)] }, this.#flag, this.#user) === true
      this.conditions.push({ ...this.#line(test), met })
      if (met) return this.rule(result, flag)
    }
    const last = parts.length % 2 === 1 ? parts.at(-1) : undefined
    return last === undefined ? this.byDefault(flag) : this.rule(last, flag)
  }

  #split(node: JsonNode, args: JsonNode, flag: JsonNode): End {
    const given = this.#evaluate(node)
    if (given === null || given === undefined) {
      // No bucketing value, or weights that split nothing: flagd continues as if there were no
      // rule.
      return given === null ? this.byDefault(flag) : this.stop('split', node)
    }
    const parts = args.type === 'array' ? (args.children ?? []) : []
    const [first, ...rest] = parts
    const named = first === undefined ? undefined : this.#evaluate(first)
    const own = typeof named === 'string'
    const key = this.#user.targetingKey
    const hashed = own ? named : `${this.#flag}${key}`
    const entries = first?.type === 'array' ? parts : rest
    const bucket = this.#bucket(entries, hashed)
    if (bucket === undefined) return this.stop('split', node)
    const standard = 'the flag key and the targeting key'
    const fallback =
      first?.type === 'array' ? standard : `${standard}, because its own key has no value`
    const by = own ? 'the bucketing key of the split' : fallback
    return { ...this.stop('split', bucket.node), bucket: { ...bucket.place, by } }
  }

  #bucket(
    entries: readonly JsonNode[],
    hashed: string,
  ): { readonly node: JsonNode; readonly place: Omit<Bucket, 'by'> } | undefined {
    const read = entries.map((entry) => {
      const value = this.#evaluate(entry)
      const [variant, weight = 1] = Array.isArray(value) ? (value as readonly JsonValue[]) : []
      return { entry, variant: String(variant), weight: Math.max(0, Number(weight ?? 1)) }
    })
    const total = read.reduce((sum, { weight }) => sum + weight, 0)
    if (!(total > 0)) return undefined
    const hash = murmur3(hashed)
    const slot = bucketOf(hash, total)
    let start = 0
    for (const [index, { entry, variant, weight }] of read.entries()) {
      const end = start + weight
      if (slot < end) {
        const [from, to] = [(start / total) * 100, (end / total) * 100]
        const place = (hash / 2 ** 32) * 100
        const others = (some: typeof read): boolean => some.some((each) => each.weight > 0)
        const ends = [
          ...(others(read.slice(0, index)) ? [place - from] : []),
          ...(others(read.slice(index + 1)) ? [to - place] : []),
        ]
        const distance = ends.length === 0 ? undefined : Math.min(...ends)
        return { node: entry, place: { hashed, place, variant, from, to, distance } }
      }
      start = end
    }
    return undefined
  }

  #evaluate(node: JsonNode): JsonValue | undefined {
    return valueOfRule(this.#plain(node), this.#flag, this.#user)
  }

  /** With the shared rules put in. */
  #plain(node: JsonNode): JsonValue {
    const put = (value: JsonValue, depth: number): JsonValue => {
      if (depth > MOST_REFERENCES || typeof value !== 'object' || value === null) return value
      if (Array.isArray(value)) return value.map((each: JsonValue) => put(each, depth))
      const entries = Object.entries(value)
      const [only] = entries
      const name = entries.length === 1 && only?.[0] === '$ref' ? String(only[1]) : undefined
      const shared = name === undefined ? undefined : this.#shared.get(name)
      if (shared !== undefined) return put(valueOf(shared), depth + 1)
      return Object.fromEntries(entries.map(([key, each]) => [key, put(each, depth)]))
    }
    return put(valueOf(node), 0)
  }

  #line(node: JsonNode): RuleLine {
    const { line } = positionAt(this.#document.text, node.offset)
    return { line, text: (this.#document.text.split('\n')[line - 1] ?? '').trim() }
  }
}

function isEmpty(node: JsonNode): boolean {
  return node.type === 'null' || (node.type === 'object' && node.children?.length === 0)
}
