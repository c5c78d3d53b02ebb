import { setTimeout as sleep } from 'node:timers/promises'
import { oneLine, SwitchbackError } from '../../errors.ts'
import { checkNames, type NamesOf, requireOption } from '../../options.ts'
import { otherSide, type Side } from '../../side.ts'
import { CopyGroup } from './copy-group.ts'
import type { Copied, CopyKeyParts } from './copy-key.ts'
import { Groups } from './groups.ts'

export interface CopyOptions {
  readonly from: Side
  readonly to: Side
  /** Most keys a second. @default as many as go */
  readonly rate?: number
  /** Only keys that match: `*` stands for any text, `?` for one character. @default all */
  readonly match?: string
  /** Reads and writes nothing: `copied` says what would be. @default false */
  readonly dryRun?: boolean
  /** The `cursor` of an earlier report, to go on from there. @default from the beginning */
  readonly after?: string
  /** Ends it behind the keys that are under way. */
  readonly signal?: AbortSignal
  /** Called after each batch of keys. */
  readonly onProgress?: (report: CopyReport) => void
}

const OPTIONS: NamesOf<CopyOptions> = {
  from: true,
  to: true,
  rate: true,
  match: true,
  dryRun: true,
  after: true,
  signal: true,
  onProgress: true,
}

export interface CopyReport extends Readonly<Record<Copied, number>> {
  /** `running` only for `onProgress`; `failed`: a side did not answer for long, see `reason`. */
  readonly ended: 'running' | 'done' | 'aborted' | 'failed'
  /** Why it failed; else `''`. */
  readonly reason: string
  /** Names that were looked at. */
  readonly scanned: number
  /** Of them, those that do not match. */
  readonly skipped: number
  readonly ms: number
  /** Where to go on: everything before it has been dealt with. */
  readonly cursor: string
}

/** Keys under way at once, at first and at most, and characters of their values. */
const FIRST_KEYS = 20
const MOST_KEYS = 500
const MOST_UNITS = 4_194_304
/** As many begin in one turn, and share commands. */
const GROUP = 100
/** A key that was refused or failed is tried again, since that often passes: a young era, a restart. */
const PATIENCE_MS = 10_000
const PAUSE_MS = 500

/** See {@link CacheSwitch.copy}. */
export async function copy(parts: CopyKeyParts, options: CopyOptions): Promise<CopyReport> {
  checkOptions(options)
  const { from, to, match, rate, dryRun = false, signal, onProgress } = options
  const { backend } = parts.sides[from]
  if (backend.names === undefined) {
    const what = `${backend.name} cannot say which keys it has, so nothing can be copied from it`
    throw new SwitchbackError('SB_COPY_UNSUPPORTED', what, {
      hint: 'Its values change sides with their users all the same.',
    })
  }
  const hint = 'the side is retired, and is not read any more'
  requireOption(parts.retired === undefined, 'copy', 'from', from, hint)
  const group = new CopyGroup(parts, to)
  const matches = match === undefined ? undefined : globOf(match)
  const counts = { copied: 0, present: 0, refused: 0, expired: 0, foreign: 0, failed: 0 }
  let [begun, scanned, skipped, patience, most] = [0, 0, 0, PATIENCE_MS, FIRST_KEYS]
  let isWhole = true
  let pausing: Promise<void> | undefined
  const groups = new Groups(options.after ?? '')
  const startedAt = performance.now()
  const report = (ended: CopyReport['ended'], reason = ''): CopyReport => {
    const ms = Math.round(performance.now() - startedAt)
    const cursor = ended === 'done' ? '' : groups.cursor
    return { ended, reason, scanned, skipped, ...counts, ms, cursor }
  }
  const isOver = (): boolean => signal?.aborted === true || counts.failed > 0

  /** One for all groups: a side that is out has as long as beside one group. */
  const pause = (): Promise<void> =>
    (pausing ??= sleep(PAUSE_MS, undefined, { signal })
      .catch(() => undefined)
      .then(() => {
        patience -= PAUSE_MS
        pausing = undefined
      }))
  /** The names to try again. */
  const run = async (names: readonly string[], last: boolean): Promise<string[]> => {
    const results = await group.run(names, dryRun)
    const again: string[] = []
    let units = 0
    for (const [i, { what, size }] of results.entries()) {
      units += size
      const mayPass = (what === 'refused' || what === 'failed') && !last
      if (mayPass) again.push(names[i]!)
      else counts[what] += 1
    }
    const fitting = Math.floor((MOST_UNITS * names.length) / Math.max(units, 1))
    most = Math.max(1, Math.min(fitting, MOST_KEYS, most * 4))
    return again
  }
  const runAll = async (names: readonly string[]): Promise<void> => {
    let left = await run(names, patience <= 0)
    while (left.length > 0) {
      await pause()
      // They hold the cursor back: who goes on from there tries them again.
      signal?.throwIfAborted()
      left = await run(left, patience <= 0 || isOver())
    }
    scanned += names.length
  }
  /** Whether all of it has begun. */
  const begin = async (names: readonly string[]): Promise<boolean> => {
    const fair = rate === undefined ? GROUP : Math.min(GROUP, Math.ceil(rate / 10))
    for (let at = 0; at < names.length;) {
      const size = Math.min(fair, most, names.length - at)
      await groups.room(size, () => most)
      if (isOver()) return false
      const some = names.slice(at, at + size)
      at += size
      begun += size
      groups.begin(
        size,
        () => runAll(some),
        () => onProgress?.(report('running')),
      )
      if (rate !== undefined) await keepTo(rate, begun, startedAt, signal)
    }
    return true
  }

  try {
    for await (const page of backend.names(groups.cursor, signal)) {
      const names = matches === undefined ? page.names : page.names.filter(matches)
      groups.open(page.cursor)
      isWhole = await begin(names)
      if (!isWhole) break
      const others = page.names.length - names.length
      scanned += others
      skipped += others
    }
    if (isWhole) groups.close()
    await groups.rest()
  } catch (error) {
    await groups.rest().catch(() => undefined)
    isWhole = false
    if (signal?.aborted !== true) return report('failed', oneLine(error))
  }
  if (counts.failed > 0) return report('failed', unansweredBy(parts))
  return report(isWhole ? 'done' : 'aborted')
}

async function keepTo(
  rate: number,
  done: number,
  startedAt: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  const early = startedAt + (done / rate) * 1000 - performance.now()
  if (early > 1) await sleep(early, undefined, { signal }).catch(() => undefined)
}

function unansweredBy({ sides }: CopyKeyParts): string {
  const out = Object.values(sides).filter(({ usable }) => !usable)
  const names = (out.length === 0 ? Object.values(sides) : out).map(({ backend }) => backend.name)
  return `${names.join(' or ')} did not answer for ${PATIENCE_MS / 1000} s`
}

/** A hashed name is of an unknown key, which nothing but `*` matches. */
function globOf(glob: string): (name: string) => boolean {
  if (/^\*+$/.test(glob)) return () => true
  const source = glob
    .split('')
    .map((one) =>
      one === '*' ? '.*' : one === '?' ? '.' : one.replace(/[\\^$.|+()[\]{}]/, '\\$&'),
    )
    .join('')
  const pattern = new RegExp(`^${source}$`, 'su')
  return (name) => !name.startsWith('#') && pattern.test(name)
}

function checkOptions(options: CopyOptions): void {
  checkNames('copy', options, OPTIONS)
  const { from, to, rate, match, after } = options
  const isSide = (side: unknown): boolean => side === 'off' || side === 'on'
  const sides = 'name "off" (the old side) and "on" (the new one), each once'
  requireOption(isSide(from), 'copy', 'from', from, sides)
  requireOption(isSide(to) && to === otherSide(from), 'copy', 'to', to, sides)
  const isRate = rate === undefined || (Number.isFinite(rate) && rate > 0)
  requireOption(isRate, 'copy', 'rate', rate, 'give keys a second: 2000')
  const isGlob = match === undefined || (typeof match === 'string' && match !== '')
  requireOption(isGlob, 'copy', 'match', match, 'give a pattern of keys: "user:*"')
  const isCursor = after === undefined || typeof after === 'string'
  requireOption(isCursor, 'copy', 'after', after, 'give the cursor of a report')
}
