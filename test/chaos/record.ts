import { History } from '../support/history.ts'

export interface ChaosRecord {
  readonly history: History
  /** Operations that rejected, with their reason. */
  readonly failed: readonly string[]
  readonly operations: number
  /** How often each event of the switch was logged. */
  readonly events: Readonly<Record<string, number>>
  /** Of the processes that ended in an orderly way. */
  readonly slowestMs: number
  readonly rssMiB: number
}

/** Reads the lines that `worker.mjs` wrote. A line torn by a kill is the last of its process. */
export function readRecord(files: readonly string[]): ChaosRecord {
  const history = new History()
  const failed: string[] = []
  const events: Record<string, number> = {}
  let operations = 0
  let slowestMs = 0
  let rssMiB = 0
  for (const text of files) {
    /** Writes that began and have not ended, by start and value: their process may have died. */
    const open = new Map<string, { key: string; invokedAt: number; value: string | undefined }>()
    for (const line of text.split('\n')) {
      const [kind, key = '', ...rest] = line.split('\t')
      const invokedAt = Number(rest[0])
      if (kind === 'set?') open.set(`${rest[1]}`, { key, invokedAt, value: rest[1] })
      else if (kind === 'delete?')
        open.set(`${key} ${invokedAt}`, { key, invokedAt, value: undefined })
      else if (kind === 'set' && rest[2] !== undefined) {
        open.delete(rest[2])
        operations += 1
        history.writes.push({ key, invokedAt, acknowledgedAt: Number(rest[1]), value: rest[2] })
      } else if (kind === 'delete' && rest[1] !== undefined) {
        open.delete(`${key} ${invokedAt}`)
        operations += 1
        history.writes.push({ key, invokedAt, acknowledgedAt: Number(rest[1]), value: undefined })
      } else if (kind === 'load' && rest[1] !== undefined) {
        history.loads.push({ key, at: invokedAt, value: rest[1] })
      } else if (kind === 'read' && rest[1] !== undefined) {
        operations += 1
        history.reads.push({ key, invokedAt, value: rest[1] === '' ? undefined : rest[1] })
      } else if (kind === 'failed') {
        failed.push(line)
      } else if (kind === 'event') {
        const name = `${rest[0]} ${rest[1]}`.trim()
        events[name] = (events[name] ?? 0) + 1
      } else if (kind === 'end') {
        slowestMs = Math.max(slowestMs, Number(key) / 1000)
        rssMiB = Math.max(rssMiB, Number(rest[0]) / 2 ** 20)
      }
    }
    for (const write of open.values()) history.writes.push({ ...write, acknowledgedAt: undefined })
  }
  return { history, failed, operations, events, slowestMs, rssMiB }
}
