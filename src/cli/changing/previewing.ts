import { open } from 'node:fs/promises'
import { quote, SwitchbackError } from '../../errors.ts'
import {
  type FlagsDocument,
  parseUsers,
  preview,
  type Preview,
  type PreviewOptions,
} from '../../rollout/index.ts'
import { type CommandIo, exitCode, usageError } from '../framework/command.ts'
import { count, createRows, printJson } from '../framework/format.ts'

/** Most made-up users: a minute or less of work, and more of them show nothing new. */
const MOST_USERS = 10_000_000

/** The options of the commands that show who moves. */
export const previewOptions = {
  users: {
    type: 'string',
    value: 'FILE',
    help: 'file of users, one per line: a targeting key or a JSON context; - for stdin',
  },
  count: {
    type: 'string',
    value: 'N',
    help: 'number of made-up users, at most 10,000,000 (100000)',
  },
} as const

/** What to compare, and how to print it. */
export interface Previewing {
  readonly command: string
  readonly io: CommandIo
  readonly values: {
    readonly json: boolean
    readonly users: string | undefined
    readonly count: string | undefined
  }
  readonly flag: string
  readonly before: FlagsDocument
  readonly after: FlagsDocument
  /** The first line for people. */
  readonly title: string
  /** Rows before those of the preview. */
  readonly rows: readonly (readonly [label: string, text: string])[]
  /** Goes into the JSON document. */
  readonly extra: object
}

/** Evaluates, shows a progress bar after a second, and prints who joins and who leaves. */
export async function runPreview(options: Previewing): Promise<number> {
  const { io, values, flag, before, after } = options
  const bar = createBar(io)
  const start = performance.now()
  let moves: Preview
  try {
    moves = await preview({
      flag,
      before,
      after,
      users: await readUsers(values, io),
      onProgress: bar.show,
      signal: io.signal,
    })
  } finally {
    bar.clear()
  }
  const seconds = (performance.now() - start) / 1000
  const shrinking = moves.on.after < moves.on.before
  const surprising = moves.leaves.count > 0 && !shrinking
  const code = surprising ? exitCode.refused : exitCode.done
  if (values.json) {
    const { users, repeated, lacking, on, variants, joins, leaves, movesByItself } = moves
    const counted = { users, repeated, lacking, on, variants, joins, leaves }
    const document = { ...counted, moves: moves.moves, movesByItself }
    printJson(io.stdout, {
      ok: !surprising,
      command: options.command,
      flag,
      ...options.extra,
      ...document,
    })
    return code
  }
  const { stdout, style } = io
  const row = createRows(stdout, style)
  stdout.write(`${style.bold(flag)}  ${options.title}\n`)
  for (const [label, text] of options.rows) row(label, text)
  row('users', `${count(moves.users)} in ${seconds.toFixed(1)} s`)
  const { repeated, lacking } = moves
  if (repeated > 0) {
    const lines = repeated === 1 ? 'line names' : 'lines name'
    row('repeated', `${count(repeated)} ${lines} a user again, who is counted once`)
  }
  if (lacking.length > 0) {
    const names = lacking.map((name) => quote(name)).join(', ')
    const with_ = values.users === undefined ? 'with --users give' : 'give'
    row(
      'lacking',
      style.yellow(`no user has ${names}, which the rule reads: ${with_} users with it`),
    )
  }
  row('on', `${count(moves.on.before)} -> ${count(moves.on.after)}`)
  row('join', movedText(moves.joins))
  row('leave', surprising ? style.red(movedText(moves.leaves)) : movedText(moves.leaves))
  const others = moves.moves - moves.joins.count - moves.leaves.count
  if (others > 0)
    row('change', `${count(others)} others get another variant, ${variantsText(moves)}`)
  if (moves.movesByItself) row('clock', style.yellow(MOVES_BY_ITSELF))
  if (surprising)
    row('', style.red(style.bold('Users LEAVE the new side although its share does not shrink.')))
  return code
}

/** For a rule that depends on the time. */
export const MOVES_BY_ITSELF = 'the rule depends on the time: users change sides without an edit'

function movedText({ count: number, examples }: Preview['joins']): string {
  if (number === 0) return 'nobody'
  const more = number > examples.length ? ', ...' : ''
  return `${count(number)}  (${examples.join(', ')}${more})`
}

function variantsText({ variants }: Preview): string {
  const names = [...new Set([...Object.keys(variants.before), ...Object.keys(variants.after)])]
  return names
    .map((name) => `${name} ${variants.before[name] ?? 0} -> ${variants.after[name] ?? 0}`)
    .join(', ')
}

async function readUsers(
  values: Previewing['values'],
  { stdin }: CommandIo,
): Promise<NonNullable<PreviewOptions['users']>> {
  if (values.users === undefined) {
    const number = Number(values.count ?? 100_000)
    if (Number.isSafeInteger(number) && number > 0 && number <= MOST_USERS) return number
    throw number > MOST_USERS
      ? usageError(
          `--count ${quote(values.count)} is more than ${count(MOST_USERS)} users`,
          'write --count 100000, or read your own with --users',
        )
      : usageError(
          `--count ${quote(values.count)} is not a number of users`,
          'write --count 100000',
        )
  }
  if (values.count !== undefined) {
    throw usageError('--users and --count exclude each other', 'give one of them')
  }
  if (values.users === '-') return parseUsers(stdin)
  const file = await open(values.users).catch((error: unknown) => {
    throw new SwitchbackError('SB_FILE_MISSING', `cannot read ${quote(values.users)}`, {
      cause: error,
      hint: 'name a file with one user per line, or - for stdin',
    })
  })
  if ((await file.stat()).isDirectory()) {
    await file.close()
    throw new SwitchbackError('SB_FILE_UNREADABLE', `${quote(values.users)} is a directory`, {
      hint: 'name a file with one user per line, or - for stdin',
    })
  }
  return parseUsers(file.createReadStream())
}

/** A line on stderr that overwrites itself, on terminals only, and only after a second. */
function createBar({ stderr }: CommandIo): { show: (done: number) => void; clear: () => void } {
  const start = performance.now()
  let shown = false
  return {
    show(done) {
      if (stderr.isTTY !== true || performance.now() - start < 1000) return
      shown = true
      const rate = Math.round((done / (performance.now() - start)) * 1000)
      stderr.write(`\r${count(done)} users, ${count(rate)} a second `)
    },
    clear() {
      if (shown) stderr.write('\r\u001B[K')
    },
  }
}
