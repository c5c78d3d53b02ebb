import { quote } from '../../../errors.ts'
import type { Side } from '../../../side.ts'
import { type CopyReport, createCacheSwitch, type SwitchEvent } from '../../../switch/index.ts'
import { Resume } from '../../copying/resume.ts'
import { openStores, reach } from '../../copying/stores.ts'
import { redisOptions } from '../../stores/options.ts'
import { type Command, exitCode, type Output, usageError } from '../../framework/command.ts'
import { defineCommand } from '../../framework/define.ts'
import { count, createRows, printJson } from '../../framework/format.ts'
import type { Style } from '../../framework/style.ts'

const DEADLINE_MS = 2000
/** Where nobody watches, it says so often how far it is. */
const LOG_MS = 10_000
const SHOW_MS = 200

export const command: Command = defineCommand({
  usage: 'copy --from off|on --to on|off [options]',
  summary: 'copies what is alive on one side to the other, before or after a flip, under traffic',
  details: `Copies each key as its user would who changes sides and reads it: by the protocol's own conditional writes, so it
is safe while services read, write, delete and flip. Nothing is taken from the side that is copied. Every process
must have the switch (switchback migrate enter). Name the sides as the service does: the new side with --redis,
the old one with --old-redis, or --cache-dir if it is files (on their machine); a side of plain values with
--values plain or --old-values plain. Of plain values, a key that begins with # is not copied, nor is it counted; where
redisCache has a codec, use cache.copy() in a program.

What is refused is not known to be the latest value: it stays where it is, and is loaded or changes sides with its
users. Ctrl-C ends it with a report of what is done (130); with --resume the same command goes on from there, also
after kill -9.

--json prints ok, command, from, to, dryRun, ended, reason, scanned, copied, present, refused, expired, foreign,
failed, skipped and ms.`,
  options: {
    from: { type: 'string', value: 'SIDE', help: 'off, the old side, or on, the new side' },
    to: { type: 'string', value: 'SIDE', help: 'the other one' },
    rate: { type: 'string', value: 'N/s', help: 'most keys a second, e.g. 2000/s (as many as go)' },
    match: {
      type: 'string',
      value: 'PATTERN',
      help: "only these keys, e.g. 'user:*' (* any text, ? one character)",
    },
    'dry-run': { type: 'boolean', help: 'copy nothing, and say what would be copied' },
    resume: {
      type: 'string',
      value: 'FILE',
      help: 'keep in this file where it stands, and go on from there',
    },
    ...redisOptions,
    'cache-dir': {
      type: 'string',
      value: 'DIR',
      help: 'directory of the file cache of the old side (SWITCHBACK_CACHE_DIR, .cache/switchback)',
    },
    name: { type: 'string', value: 'NAME', help: "createCacheSwitch's name (cache)" },
    json: { type: 'boolean', help: 'print JSON' },
  },
  examples: [
    [
      'switchback copy --from off --to on --redis redis://cache:6379 --rate 2000/s --resume copy.json',
      'warms Redis before the first users',
    ],
    [
      'switchback copy --from off --to on --old-redis redis://a:6379 --redis redis://b:6379 --dry-run',
      'says what would be copied from Redis A to Redis B',
    ],
    [
      'switchback copy --from off --to on --old-redis redis://a:6379 --old-values plain --redis redis://b:6379',
      "copies the application's own keys",
    ],
  ],
  async run({ values, env, stdout, stderr, style, signal }) {
    const [from, to] = sidesOf(values.from, values.to)
    const rate = rateOf(values.rate)
    const {
      name = 'cache',
      match,
      prefix = '',
      'old-prefix': oldPrefix,
      'dry-run': dryRun,
    } = values
    if (match === '') throw usageError('--match is empty', "write --match 'user:*'")
    const stores = await openStores({ ...values, name }, env, from)
    const events: SwitchEvent[] = []
    const cache = createCacheSwitch({
      flag: 'switchback-copy',
      decider: NOBODY,
      name,
      off: stores.off.backend,
      on: stores.on.backend,
      deadlineMs: DEADLINE_MS,
      // Another program's data is in the report, and a failure too.
      onEvent: (event) => events.push(event),
    })
    try {
      await Promise.all((['off', 'on'] as const).map((side) => reach(stores[side], side, signal)))
      const { era } = stores[from].backend
      const identity = {
        from: `${from}: ${stores[from].shown}`,
        to: `${to}: ${stores[to].shown}`,
        prefix: oldPrefix === undefined ? prefix : `${oldPrefix} ${prefix}`,
        match: match ?? '',
        era: era?.call(stores[from].backend) ?? 0,
      }
      const resume =
        values.resume === undefined || dryRun ? undefined : new Resume(values.resume, identity)
      if (resume?.isStale === true && !values.json) {
        stderr.write('the store has another era since: starting again from the beginning\n')
      }
      const show = progressTo(stderr, dryRun)
      const report = await cache.copy({
        from,
        to,
        dryRun,
        signal,
        ...(rate !== undefined && { rate }),
        ...(match !== undefined && { match }),
        after: resume?.cursor ?? '',
        onProgress: (now) => {
          resume?.save(now.cursor)
          show(now)
        },
      })
      show(undefined)
      if (report.ended === 'done' && report.scanned === 0 && (resume?.cursor ?? '') === '') {
        const why = await stores[from].whyNothing()
        if (why !== undefined) throw why
      }
      if (report.ended === 'done') resume?.remove()
      else resume?.save(report.cursor, true)
      const { cursor: _, ...told } = report
      if (values.json) {
        const ok = report.ended === 'done'
        printJson(stdout, { ok, command: 'copy', from, to, dryRun, ...told })
      } else {
        stdout.write(`${style.bold('copy')}  ${identity.from} -> ${identity.to}\n`)
        print(report, { stdout, style, dryRun, resume: values.resume })
      }
      if (report.ended === 'done') return exitCode.done
      if (report.ended === 'failed') return exitCode.refused
      const { reason } = signal
      return reason instanceof Error && reason.message === 'SIGTERM' ? 143 : 130
    } finally {
      await cache.close()
      for (const store of Object.values(stores)) store.close()
    }
  },
})

interface Printing {
  readonly stdout: Output
  readonly style: Style
  readonly dryRun: boolean
  readonly resume: string | undefined
}

const MEANINGS = {
  present: 'there already',
  refused: 'not known to be the latest value: left where they are',
  expired: 'expired, deleted, replaced, or of an earlier era of the store',
  foreign: "another program's data, left as it is",
  failed: 'a side did not answer',
  skipped: 'do not match',
} as const

function print(report: CopyReport, { stdout, style, dryRun, resume }: Printing): void {
  const row = createRows(stdout, style)
  const { ended, reason, scanned, copied, ms } = report
  const speed = ms < 1 ? '' : `, ${count(Math.round((scanned / ms) * 1000))} keys a second`
  row(
    dryRun ? 'would' : 'copied',
    `${count(copied)} of ${count(scanned)} keys in ${(ms / 1000).toFixed(1)} s${speed}`,
  )
  for (const [name, meaning] of Object.entries(MEANINGS)) {
    const number = report[name as keyof typeof MEANINGS]
    if (number > 0) row(name, `${count(number)}: ${meaning}`)
  }
  if (ended === 'done') return
  const why = ended === 'aborted' ? 'interrupted' : reason
  row('ended', style.red(`${why}: it is not complete`))
  const again =
    resume === undefined
      ? 'run it again: what is there is not copied twice'
      : 'run the same command again: it goes on from there'
  row('next', again)
}

/** One line that changes, or a line now and then. */
function progressTo(stderr: Output, dryRun: boolean): (report: CopyReport | undefined) => void {
  const every = stderr.isTTY === true ? SHOW_MS : LOG_MS
  let shownAt = performance.now()
  let isOpen = false
  return (report) => {
    if (report === undefined) {
      if (isOpen) stderr.write('\r\u001B[K')
      return
    }
    if (performance.now() - shownAt < every) return
    shownAt = performance.now()
    const { scanned, copied, present, refused, ms } = report
    const speed = count(Math.round((scanned / Math.max(ms, 1)) * 1000))
    const text = `${count(scanned)} keys, ${count(copied)} ${dryRun ? 'to copy' : 'copied'}, ${count(present)} there already, ${count(refused)} refused, ${speed}/s`
    isOpen = stderr.isTTY === true
    stderr.write(isOpen ? `\r\u001B[K${text}` : `${text}\n`)
  }
}

function sidesOf(from: string | undefined, to: string | undefined): readonly [Side, Side] {
  if (from === 'off' && to === 'on') return ['off', 'on']
  if (from === 'on' && to === 'off') return ['on', 'off']
  const given =
    from === undefined || to === undefined
      ? 'a side is not named'
      : `cannot copy from ${quote(from)} to ${quote(to)}`
  throw usageError(given, 'write --from off --to on (old side to new side) or --from on --to off')
}

function rateOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const [, number, unit] = /^(\d{1,9}(?:\.\d{1,3})?)(?:\/(s|m))?$/.exec(text) ?? []
  const rate = Number(number) / (unit === 'm' ? 60 : 1)
  if (rate > 0) return rate
  throw usageError(`${quote(text)} is not a rate`, 'write --rate 2000/s')
}

/** Nobody is asked: a copy has no users. */
const NOBODY = {
  decide: () =>
    ({ side: 'off', variant: 'off', reason: 'STATIC', errorCode: '', source: 'default' }) as const,
  targetingKeyOf: () => undefined,
  health: () => ({ ok: true, status: 'READY', since: 0, detail: '' }) as const,
  close: async () => undefined,
}
