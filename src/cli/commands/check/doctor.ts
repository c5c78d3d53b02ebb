import { quote, type SwitchbackError } from '../../../errors.ts'
import { type Command, type Environment, exitCode, usageError } from '../../framework/command.ts'
import { defineCommand } from '../../framework/define.ts'
import { checkCache } from '../../doctor/check-cache.ts'
import { checkEnvironment } from '../../doctor/check-environment.ts'
import { checkFile } from '../../doctor/check-file.ts'
import { checkFlagd, type FlagdPorts } from '../../doctor/check-flagd.ts'
import { checkRedis } from '../../doctor/check-redis.ts'
import { type DoctorFinding, problem, skipped } from '../../doctor/finding.ts'
import { printJson } from '../../framework/format.ts'
import type { Style } from '../../framework/style.ts'
import { redisOptions, settingsOf } from '../../stores/options.ts'
import { findWhatIsThere, whatIsThereOptions } from '../../changing/target.ts'

export const command: Command = defineCommand({
  usage: 'doctor [options]',
  summary: 'checks the setup for common problems, and prints the remedy of each',
  details: `Checks the flags file and its permissions, flagd's ports and what it serves, the provider's options in the
environment, Redis, which switch has used it, what its user may do and its memory policy, the directory of the file cache, the clocks. Exit code 1 when it finds a problem.

--json prints ok, command, flag, file and findings [{check, state, text, remedy}].`,
  options: {
    ...whatIsThereOptions,
    ports: {
      type: 'string',
      value: 'E,M,S',
      help: "flagd's evaluation, management and sync port (8013,8014,8015)",
    },
    ...redisOptions,
    'cache-dir': {
      type: 'string',
      value: 'DIR',
      help: 'directory of the file cache (SWITCHBACK_CACHE_DIR, .cache/switchback)',
    },
  },
  examples: [
    ['switchback doctor', 'checks everything, with the environment and the default ports'],
    ['switchback doctor --redis redis://cache:6379 --json', 'checks another Redis, output as JSON'],
    [
      'switchback doctor --old-redis redis://a:6379 --redis redis://b:6379',
      'checks two Redis sides',
    ],
    [
      'switchback doctor --redis redis://cache:6379 --values plain',
      "the new side is redisCache({ values: 'plain' })",
    ],
  ],
  async run({ values, env, stdout, style }) {
    const { flag, file, flagd, fileMode } = await findWhatIsThere(values, env)
    const ports = readPorts(values.ports, env)
    const settings = settingsOf(values)
    const { 'old-redis': old } = values
    const paired = old !== undefined
    const findings = (
      await Promise.all([
        typeof file === 'string' ? checkFile(file, flag) : [missing(file)],
        flagd === false
          ? [skipped('served', whyNotAsked(values, fileMode))]
          : checkFlagd(flagd, ports, file, flag),
        checkEnvironment(env),
        checkRedis({
          side: 'on',
          url: values.redis ?? env['REDIS_URL'],
          settings: settings.on,
          paired,
        }),
        paired ? checkRedis({ side: 'off', url: old, settings: settings.off, paired }) : [],
        checkCache(values['cache-dir'] ?? env['SWITCHBACK_CACHE_DIR'] ?? '.cache/switchback'),
      ])
    ).flat()
    const problems = findings.filter(({ state }) => state === 'problem').length
    if (values.json)
      printJson(stdout, {
        ok: problems === 0,
        command: 'doctor',
        flag,
        file: typeof file === 'string' ? file : null,
        findings,
      })
    else stdout.write(findings.map((finding) => line(finding, style)).join(''))
    return problems > 0 ? exitCode.refused : exitCode.done
  },
})

function whyNotAsked(values: { readonly 'no-flagd'?: boolean }, fileMode: boolean): string {
  if (values['no-flagd']) return '--no-flagd'
  return fileMode
    ? 'FLAGD_OFFLINE_FLAG_SOURCE_PATH: the processes read this file themselves, there is no flagd to ask'
    : 'no flagd is named'
}

function missing({ message, hint }: SwitchbackError): DoctorFinding {
  return problem('flags file', message, hint ?? '')
}

function line({ state, check, text, remedy }: DoctorFinding, style: Style): string {
  const mark = {
    ok: style.green('ok     '),
    warning: style.yellow('warning'),
    problem: style.red('problem'),
    skipped: style.dim('skipped'),
  }[state]
  const todo = remedy === '' ? '' : `${' '.repeat(26)}${style.bold('->')} ${remedy}\n`
  return `  ${mark}  ${check.padEnd(13)}  ${text}\n${todo}`
}

function readPorts(text: string | undefined, env: Environment): FlagdPorts {
  const fromEnvironment = [env['FLAGD_PORT'] ?? 8013, 8014, env['FLAGD_SYNC_PORT'] ?? 8015]
  const numbers = (text === undefined ? fromEnvironment : text.split(',')).map(Number)
  const [evaluation, management, sync] = numbers
  const valid = numbers.every((port) => Number.isInteger(port) && port > 0 && port < 65_536)
  if (!valid || numbers.length !== 3 || !evaluation || !management || !sync) {
    throw usageError(
      `${quote(text ?? numbers)} is not a list of three ports`,
      'write --ports 8013,8014,8015',
    )
  }
  return { evaluation, management, sync }
}
