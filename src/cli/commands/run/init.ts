import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { basename, dirname, isAbsolute } from 'node:path'
import { oneLine, quote } from '../../../errors.ts'
import { apply, type HistoryNote } from '../../../rollout/index.ts'
import { whoAmI } from '../../changing/target.ts'
import { type Command, exitCode, usageError } from '../../framework/command.ts'
import { defineCommand } from '../../framework/define.ts'
import { createRows, printJson } from '../../framework/format.ts'
import { codeFor, composeFor } from '../../initiating/code.ts'
import { type PlannedFile, planFlags } from '../../initiating/planned-flags-file.ts'
import { findProject } from '../../initiating/project.ts'

const COMPOSE = 'compose.switchback.yaml'

const DONE = { new: 'written', added: 'the flag is added', there: 'there already' } as const
const WOULD = {
  new: 'would be written',
  added: 'the flag would be added',
  there: 'there already',
} as const

export const command: Command = defineCommand({
  usage: 'init [options]',
  summary: 'begins: a flags file, a compose file, and the code for the framework that it finds',
  details: `Looks at package.json (fastify, express, nestjs, koa, next, or plain Node.js), writes what is missing and
prints the code and what to do next. A file that is there is never overwritten: the flag is added to a flags file
that does not have it, and nothing else in it changes. Everybody starts on the old side. Run again, it changes nothing.

--json prints ok, command, flag, framework, language, dryRun, files [{path, what}], code and next.`,
  options: {
    flag: { type: 'string', value: 'NAME', help: 'the flag (use-redis, or SWITCHBACK_FLAG)' },
    file: {
      type: 'string',
      value: 'FILE',
      help: 'the flags file (SWITCHBACK_FILE, the only one in flags/, or flags/NAME.json)',
    },
    'dry-run': { type: 'boolean', help: 'write nothing, and say what would be written' },
    json: { type: 'boolean', help: 'print JSON' },
  },
  examples: [
    ['switchback init --dry-run', 'says what it would write, and prints the code'],
    ['switchback init --flag use-valkey', 'begins with a flag of another name'],
  ],
  async run({ values, env, stdout, style }) {
    const flag = values.flag ?? env['SWITCHBACK_FLAG'] ?? 'use-redis'
    if (!/^[\w.-]{1,100}$/.test(flag) || flag.startsWith('.')) {
      const remedy = 'use letters, digits, "-", "_" and "."'
      throw usageError(`${quote(flag)} cannot name a flag and its file`, remedy)
    }
    const { 'dry-run': dryRun, json } = values
    const project = findProject()
    const flags = await planFlags(flag, values.file ?? env['SWITCHBACK_FILE'])
    const files = [flags, planCompose(flags.path)]
    if (!dryRun) for (const file of files) await write(file, whoAmI(env))
    const code = codeFor(project, flag)
    const next = nextSteps(project.missing, flags.path, flag)
    const { framework, language } = project
    if (json) {
      const told = files.map(({ path, what }) => ({ path, what }))
      const answer = { flag, framework, language, dryRun, files: told, code, next }
      printJson(stdout, { ok: true, command: 'init', ...answer })
      return exitCode.done
    }
    stdout.write(`${style.bold('init')}  ${flag} for ${framework}\n`)
    const row = createRows(stdout, style)
    for (const { path, what } of files) row('file', `${path}: ${(dryRun ? WOULD : DONE)[what]}`)
    row('code', `for ${framework}, to put into your service:`)
    stdout.write(`\n${code}\n`)
    row('next', next.join('\n'))
    return exitCode.done
  },
})

function planCompose(flags: string): PlannedFile {
  if (existsSync(COMPOSE)) return { path: COMPOSE, what: 'there' }
  const directory = dirname(flags)
  const source = isAbsolute(directory) ? directory : `./${directory}`
  return { path: COMPOSE, what: 'new', text: composeFor(source, basename(flags)) }
}

/** A flag that is added is a change as any other: with a line in the history, it is nobody's edit by hand. */
async function write({ path, text, edit }: PlannedFile, by: HistoryNote): Promise<void> {
  try {
    mkdirSync(dirname(path), { recursive: true })
    if (text !== undefined) writeFileSync(path, text, { flag: 'wx', mode: 0o644 })
    if (edit !== undefined) {
      await apply(edit, { file: path, by: { ...by, reason: 'added by switchback init' } })
    }
  } catch (error) {
    throw usageError(
      `cannot write ${quote(path)}: ${oneLine(error)}`,
      'check the path and its rights',
    )
  }
}

function nextSteps(missing: readonly string[], file: string, flag: string): string[] {
  const named = flag === 'use-redis' ? '' : ` --flag ${flag}`
  const at = dirname(file) === 'flags' ? named : `${named} --file ${file}`
  return [
    ...(missing.length === 0 ? [] : [`npm i ${missing.join(' ')}`]),
    `docker compose -f ${COMPOSE} up -d   (or, without Docker: npx switchback sidecar --file ${file})`,
    'start the service with FLAGD_RESOLVER=in-process: everybody is on the old side',
    `npx switchback validate${at}   then   npx switchback doctor${at}`,
    `npx switchback set 1${at}   and back at any time:   npx switchback rollback${at}`,
  ]
}
