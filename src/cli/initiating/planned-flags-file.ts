import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { isSwitchbackError, quote } from '../../errors.ts'
import { editText, flagNames, type FlagsEdit, flagsOf, loadFlags } from '../../rollout/index.ts'
import { namesInFlags } from '../changing/flags-directory.ts'
import { usageError } from '../framework/command.ts'

/** What is to become of a file: a new one has a text, one that is there an edit or nothing. */
export interface PlannedFile {
  readonly path: string
  readonly what: 'new' | 'added' | 'there'
  readonly text?: string
  readonly edit?: FlagsEdit
}

/** Everybody is on the old side. */
const FLAG = {
  state: 'ENABLED',
  variants: { on: true, off: false },
  defaultVariant: 'off',
  targeting: {
    fractional: [
      ['on', 0],
      ['off', 100],
    ],
  },
}

/** The split in one line, as each change of it shows it. */
const ONE_LINE = '"targeting": { "fractional": [["on", 0], ["off", 100]] }'

/** A new file, or the flag in the one that is named or the only one in flags/. */
export async function planFlags(flag: string, named: string | undefined): Promise<PlannedFile> {
  const path = named ?? (await findFile(flag))
  if (!existsSync(path)) {
    const flags = { [flag]: { ...FLAG, targeting: null } }
    const document = { $schema: 'https://flagd.dev/schema/v0/flags.json', flags }
    const text = JSON.stringify(document, undefined, 2)
    return { path, what: 'new', text: `${text.replace('"targeting": null', ONE_LINE)}\n` }
  }
  try {
    const document = await loadFlags(path)
    if (flagNames(document).includes(flag)) return { path, what: 'there' }
    const isList = flagsOf(document)?.type === 'array'
    const to = isList ? { key: flag, ...FLAG } : FLAG
    const change = { path: ['flags', flag], from: undefined, to }
    const after = editText(document, [change])
    // No undo removes a whole flag, so there is nothing to record for one.
    const changes: FlagsEdit['changes'] = []
    const edit = {
      action: 'set',
      flag,
      before: document,
      after,
      changes,
      from: undefined,
      to: 0,
    } as const
    return { path, what: 'added', edit }
  } catch (error) {
    if (!isSwitchbackError(error)) throw error
    const remedy = 'correct it by hand, or name another file with --file'
    const message = error.message.includes(path)
      ? error.message
      : `${quote(path)}: ${error.message}`
    throw usageError(`the flag cannot be added: ${message}`, remedy)
  }
}

async function findFile(flag: string): Promise<string> {
  const names = await namesInFlags()
  for (const name of names) {
    const path = join('flags', name)
    const flags = await loadFlags(path).then(flagNames, (): string[] => [])
    if (flags.includes(flag)) return path
  }
  return join('flags', names.length === 1 ? names[0]! : `${flag}.json`)
}
