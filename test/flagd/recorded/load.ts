import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import type { JsonObject, JsonValue } from '../../../src/flagfile/index.ts'

export interface RecordedFile {
  readonly id: string
  readonly kind: string
  readonly name: string
  readonly text?: string
  readonly base64?: string
  readonly taken: boolean
  readonly cause?: string
}

export interface RecordedSync {
  readonly file?: string
  readonly files?: readonly string[]
  readonly selector?: string
  readonly via?: 'header' | 'request'
  readonly SyncFlags?: unknown
  readonly FetchAllFlags?: unknown
}

export interface RecordedAnswer {
  readonly file: string
  readonly key?: string
  readonly context?: JsonObject
  readonly selector?: string
  readonly v1?: GrpcAnswer | { readonly varies: readonly GrpcAnswer[] }
  readonly v2?: GrpcAnswer | { readonly varies: readonly GrpcAnswer[] }
  readonly ofrep?: OfrepAnswer | { readonly varies: readonly OfrepAnswer[] }
  readonly bulk?: OfrepAnswer | { readonly varies: readonly OfrepAnswer[] }
  readonly 'all-v1'?: object
  readonly request?: RecordedRequest
  readonly response?: OfrepAnswer
}

export interface RecordedRequest {
  readonly method: string
  readonly path: string
  readonly body: string
  readonly headers?: Readonly<Record<string, string>>
}

export interface GrpcAnswer {
  readonly value?: JsonValue
  readonly variant?: string
  readonly reason?: string
  readonly code?: number
  readonly message?: string
}

export interface OfrepAnswer {
  readonly status: number
  /** Where it is not application/json. */
  readonly type?: string
  readonly body: JsonObject | string
}

export interface RecordedPopulation {
  readonly users: readonly string[]
  readonly attribute: readonly string[]
}

export interface RecordedSplit {
  readonly file: string
  readonly key: string
  readonly variants: readonly string[]
  readonly attribute?: string
  readonly on: string
}

function lines(name: string): unknown[] {
  const text = gunzipSync(readFileSync(new URL(`./${name}.jsonl.gz`, import.meta.url))).toString()
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown)
}

export const FILES = lines('files') as RecordedFile[]
export const SYNC = lines('sync') as RecordedSync[]
export const ANSWERS = lines('answers') as RecordedAnswer[]
const [first, ...splits] = lines('population')
export const POPULATION = first as RecordedPopulation
export const SPLITS = splits as RecordedSplit[]

/** What a file held, as it was on the disk. */
export function contentOf(file: RecordedFile): Buffer {
  return file.base64 === undefined
    ? Buffer.from(file.text ?? '', 'utf8')
    : Buffer.from(file.base64, 'base64')
}

/** The answers that are right. */
export function rightOnes<T extends object>(
  answer: T | { readonly varies: readonly T[] },
): readonly T[] {
  return 'varies' in answer ? answer.varies : [answer]
}

/** Kinds of files whose flags are such as people roll out with: no answer about them may differ. */
export const ROLLOUT_KINDS: ReadonlySet<string> = new Set(
  FILES.map(({ kind }) => kind).filter(
    (kind) =>
      /split|segment|weight|shape|bucketed|names that are no variant|disabled|default|odd targeting|state|versions|time and flag key|population|good/.test(
        kind,
      ) && !/\$evaluators/.test(kind),
  ),
)
