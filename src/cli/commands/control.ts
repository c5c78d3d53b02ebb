import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { quote } from '../../errors.ts'
import { type AuditLine, startControl } from '../../control/index.ts'
import { type Command, type Environment, exitCode, usageError } from '../command.ts'
import { defineCommand } from '../define.ts'
import { findTarget, targetOptions, whoAmI } from '../target.ts'

const METRICS = 'http://127.0.0.1:3002/metrics'

export const command: Command = defineCommand({
  usage: 'control [options]',
  summary: 'the dashboard: both sides live, the split, and one click back',
  details:
    'Serves one page and its API (/openapi.json) on 127.0.0.1:3001. On any other address, changes ' +
    'need a token: SWITCHBACK_CONTROL_TOKEN or --token-file. Every attempt at a change is a line on stderr.',
  options: {
    ...targetOptions,
    metrics: {
      type: 'string',
      multiple: true,
      value: 'URL',
      help: `the /metrics of a replica; again for each (${METRICS})`,
    },
    'no-metrics': { type: 'boolean', help: 'read no metrics' },
    port: { type: 'string', value: 'PORT', help: 'where to listen; 0 is a free one (3001)' },
    host: { type: 'string', value: 'HOST', help: 'on which address (127.0.0.1)' },
    'allow-host': {
      type: 'string',
      multiple: true,
      value: 'NAME',
      help: 'a name under which browsers reach it, e.g. behind a proxy',
    },
    'token-file': { type: 'string', value: 'FILE', help: 'holds the token that changes need' },
  },
  examples: [
    ['switchback control', 'the page for the application on this machine'],
    [
      'switchback control --metrics http://10.0.0.5:3002/metrics --metrics http://10.0.0.6:3002/metrics',
      'two replicas elsewhere',
    ],
    [
      'switchback control --host 0.0.0.0 --token-file /run/secrets/control --allow-host control.internal',
      'for the whole team',
    ],
  ],
  async run({ values, env, stdout, stderr, signal }) {
    const target = await findTarget(values, env)
    const token = await readToken(values['token-file'], env)
    const replicas = values.metrics.length > 0 ? values.metrics : [METRICS]
    await using control = await startControl({
      ...target,
      replicas: values['no-metrics'] ? [] : replicas,
      port: port(values.port),
      allowedHosts: values['allow-host'],
      operator: whoAmI(env).who,
      onAudit: (line) => stderr.write(`${values.json ? JSON.stringify(line) : auditText(line)}\n`),
      ...(values.host === undefined ? {} : { host: values.host }),
      ...(token === undefined ? {} : { token }),
    })
    const { flag, file, flagd } = target
    const { url } = control
    stdout.write(
      values.json
        ? `${JSON.stringify({ ready: true, url, flag, file, flagd, replicas })}\n`
        : `control room for ${flag} (${file}): ${url}\n`,
    )
    if (!signal.aborted) await once(signal, 'abort')
    return exitCode.done
  },
})

function auditText({ at, who, from, action, status, outcome, ms }: AuditLine): string {
  const signed = who === '' ? from : `${who} (${from})`
  return `${at} ${action} by ${signed}: ${outcome} (${status}, ${ms} ms)`
}

async function readToken(file: string | undefined, env: Environment): Promise<string | undefined> {
  if (file === undefined) return env['SWITCHBACK_CONTROL_TOKEN'] || undefined
  try {
    return (await readFile(file, 'utf8')).trim()
  } catch {
    throw usageError(`cannot read ${quote(file)}`, 'name a file with --token-file')
  }
}

function port(value: string | undefined): number {
  if (value === undefined) return 3001
  if (/^\d{1,5}$/.test(value) && Number(value) <= 65_535) return Number(value)
  throw usageError(`--port cannot be ${quote(value)}`, 'give a number from 0 to 65535')
}
