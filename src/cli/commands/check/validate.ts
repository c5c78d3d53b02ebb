import { join } from 'node:path'
import { isSwitchbackError } from '../../../errors.ts'
import { type Finding, type FlagsFile, readText, validate } from '../../../rollout/index.ts'
import { namesInFlags } from '../../changing/flags-directory.ts'
import { type Command, type Environment, exitCode, usageError } from '../../framework/command.ts'
import { findFlagsFile, placeOptions } from '../../changing/target.ts'
import { defineCommand } from '../../framework/define.ts'
import { printJson } from '../../framework/format.ts'
import type { Style } from '../../framework/style.ts'

export const command: Command = defineCommand({
  usage: 'validate [FILES] [options]',
  summary: 'finds errors that flagd rejects, and rules that do not do what they seem to',
  details: `Without FILES, what --target names, or all of flags/. Exit code 1 when an error is found; with --strict, a warning too. A
file that cannot be read among others is a finding, "unreadable".

--json prints ok, command and files [{file, findings}]; a finding has code, severity, rejected,
flag, pointer, line, column, message and fix.`,
  options: {
    against: {
      type: 'string',
      value: 'FILE',
      help: 'the file before: also finds changes that move users unexpectedly',
    },
    flag: {
      type: 'string',
      value: 'NAME',
      help: 'the flag whose variants must be true and false (use-redis, or SWITCHBACK_FLAG)',
    },
    ...placeOptions,
    strict: { type: 'boolean', help: 'exit with 1 for a warning, too' },
    json: { type: 'boolean', help: 'print JSON' },
  },
  examples: [
    ['switchback validate', 'every file in flags/'],
    ['switchback validate new.json --against old.json --strict', 'for a pull request'],
  ],
  positionals: 1000,
  async run({ values, positionals, env, stdout, style }) {
    const files = positionals.length > 0 ? positionals : await ownFiles(values, env)
    if (files.length === 0) throw usageError('flags/ has no flags file', 'name the files')
    const before = values.against === undefined ? undefined : await read(values.against)
    const flag = values.flag ?? env['SWITCHBACK_FLAG'] ?? 'use-redis'
    const options = before === undefined ? { flag } : { flag, before }
    const results: { file: string; findings: Finding[] }[] = []
    for (const file of files) {
      const findings = await read(file).then(
        (text) => validate(text, { ...options, name: String(file) }),
        (error: unknown) => {
          // Alone it is the only finding; among others it must not hide theirs.
          if (files.length === 1) throw error
          return [unreadable(error)]
        },
      )
      results.push({ file: String(file), findings })
    }
    const all = results.flatMap(({ findings }) => findings)
    const errors = all.filter(({ severity }) => severity === 'error').length
    const wrong = errors > 0 || (values.strict && all.length > 0)
    if (values.json) printJson(stdout, { ok: !wrong, command: 'validate', files: results })
    else {
      for (const { file, findings } of results) {
        if (findings.length === 0) stdout.write(`${file}  ${style.green('fine')}\n`)
        for (const finding of findings) stdout.write(lines(file, finding, style))
      }
      const warnings = all.length - errors
      if (all.length > 0)
        stdout.write(`${plural(errors, 'error')}, ${plural(warnings, 'warning')}\n`)
    }
    return wrong ? exitCode.refused : exitCode.done
  },
})

function read(file: FlagsFile): Promise<string> {
  return readText(file, { missingHint: 'check the path, or leave it out for all of flags/' })
}

function unreadable(error: unknown): Finding {
  if (!isSwitchbackError(error)) throw error
  return {
    code: 'unreadable',
    severity: 'error',
    rejected: false,
    flag: '',
    pointer: '',
    line: 1,
    column: 1,
    message: error.message,
    fix: error.hint ?? 'check the path',
  }
}

function lines(file: string, finding: Finding, style: Style): string {
  const { line, column, severity, code, message, fix, rejected } = finding
  const kind = severity === 'error' ? style.red('error') : style.yellow('warning')
  const what = rejected ? ' (flagd keeps serving the last good file)' : ''
  return `${style.bold(`${file}:${line}:${column}`)}  ${kind} ${style.dim(code)}\n  ${message}${what}\n  ${style.green('fix:')} ${fix}\n`
}

function plural(number: number, word: string): string {
  return `${number} ${word}${number === 1 ? '' : 's'}`
}

type PlaceValues = Parameters<typeof findFlagsFile>[0]

async function ownFiles(values: Omit<PlaceValues, 'file'>, env: Environment): Promise<FlagsFile[]> {
  const { target, namespace, context } = values
  if (target ?? namespace ?? context ?? (env['SWITCHBACK_TARGET'] || undefined)) {
    return [(await findFlagsFile({ ...values, file: undefined }, env)).file]
  }
  const own = env['SWITCHBACK_FILE']
  if (own !== undefined) return [own]
  return (await namesInFlags(/\.(json|ya?ml)$/)).map((name) => join('flags', name))
}
