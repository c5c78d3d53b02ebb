import { gunzipSync, gzipSync } from 'node:zlib'
import { type HistoryEntry, parseHistory } from '../../rollout/index.ts'
import type { KubernetesObject } from '../kubernetes/kubernetes-api.ts'

/** What is kept on the object itself, so that it is written together with the flags or not at all. */
const PREFIX = 'openfeature-switchback'
const HISTORY = `${PREFIX}/history`
const LAST_GOOD = `${PREFIX}/last-good`
const BROKEN = `${PREFIX}/broken`

/** Kubernetes takes 256 KiB for all annotations; some are left for others. */
const MOST_BYTES = 240 * 1024
const MOST_HISTORY = 64 * 1024
const MOST_COPY = 64 * 1024

type Annotations = Readonly<Record<string, string>>

export function historyOf({ metadata }: KubernetesObject): HistoryEntry[] {
  return parseHistory(metadata.annotations?.[HISTORY] ?? '')
}

/** The text of the last change that was written; `undefined` when it is not known. */
export function lastGoodOf({ metadata }: KubernetesObject): string | undefined {
  return unpacked(metadata.annotations?.[LAST_GOOD])
}

export interface Noted {
  readonly history: readonly HistoryEntry[]
  /** @default what is kept already */
  readonly lastGood?: string
  /** The text before a restore. @default what is kept already */
  readonly broken?: string | undefined
}

/** The object with them: of the history the newest lines that fit, and copies only where they do. */
export function noted(
  object: KubernetesObject,
  { history, lastGood, broken }: Noted,
): KubernetesObject {
  const { metadata } = object
  const { annotations = {} } = metadata
  const lines = tail(history.map((entry) => JSON.stringify(entry)))
  let all: Record<string, string> = { ...annotations, [HISTORY]: lines }
  const keep = (name: string, text: string | undefined): void => {
    const { [name]: old, ...others } = all
    const packed = text === undefined ? old : gzipSync(text, { level: 9 }).toString('base64')
    all = others
    if (packed === undefined || packed.length > MOST_COPY) return
    if (sizeOf(all) + packed.length <= MOST_BYTES) all = { ...all, [name]: packed }
  }
  keep(BROKEN, broken)
  keep(LAST_GOOD, lastGood)
  return { ...object, metadata: { ...metadata, annotations: all } }
}

/** Who keeps the object as Git or a chart says, and how the change survives; `''`: nobody known. */
export function keeperOf({ metadata }: KubernetesObject): string {
  const { labels = {}, annotations = {} } = metadata
  const has = (name: string): boolean => name in labels || name in annotations
  const keeper =
    has('argocd.argoproj.io/tracking-id') || has('argocd.argoproj.io/instance')
      ? 'Argo CD'
      : has('kustomize.toolkit.fluxcd.io/name') || has('helm.toolkit.fluxcd.io/name')
        ? 'Flux'
        : ''
  return keeper === ''
    ? ''
    : `${keeper} manages this object and may undo the change at its next sync: make it in Git too (--target git), or let ${keeper} ignore the flags`
}

function tail(lines: readonly string[]): string {
  let size = 0
  const from = lines.findLastIndex((line) => (size += Buffer.byteLength(line) + 1) > MOST_HISTORY)
  return lines.slice(from + 1).join('\n')
}

function sizeOf(annotations: Annotations): number {
  const parts = Object.entries(annotations).flat()
  return parts.reduce((sum, part) => sum + Buffer.byteLength(part), 0)
}

function unpacked(packed: string | undefined): string | undefined {
  if (packed === undefined) return undefined
  try {
    return gunzipSync(Buffer.from(packed, 'base64'), {
      maxOutputLength: 4 * 1024 * 1024,
    }).toString()
  } catch {
    // Anybody who may edit the object may have edited this.
    return undefined
  }
}
