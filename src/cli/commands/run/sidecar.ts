import { once } from 'node:events'
import { quote } from '../../../errors.ts'
import { startSidecar } from '../../../sidecar/index.ts'
import type { SidecarPorts } from '../../../sidecar/index.ts'
import { type Command, exitCode, usageError } from '../../framework/command.ts'
import { defineCommand } from '../../framework/define.ts'

const PORTS = {
  evaluation: 8013,
  management: 8014,
  sync: 8015,
  ofrep: 8016,
} as const satisfies SidecarPorts

export const command: Command = defineCommand({
  usage: 'sidecar [options]',
  summary: 'serves a flags file as flagd does, for laptops and tests',
  details:
    'Speaks gRPC (evaluation and sync), OFREP and HTTP/JSON, sees every edit of the file within 100 ms, ' +
    'and keeps the last good flags while the file is invalid. A selector names a file by the path given ' +
    'here. In production run flagd itself.',
  options: {
    file: {
      type: 'string',
      multiple: true,
      value: 'PATH',
      help: 'flags file or directory (repeatable; the last one that has a flag counts; flags/use-redis.json)',
    },
    host: { type: 'string', value: 'HOST', help: 'address to listen on (127.0.0.1)' },
    'evaluation-port': {
      type: 'string',
      value: 'PORT',
      help: 'port of gRPC evaluation, 0 for any free one (8013)',
    },
    'management-port': { type: 'string', value: 'PORT', help: 'port of health and metrics (8014)' },
    'sync-port': {
      type: 'string',
      value: 'PORT',
      help: 'port of gRPC sync, for in-process providers (8015)',
    },
    'ofrep-port': { type: 'string', value: 'PORT', help: 'port of OFREP over HTTP (8016)' },
    json: { type: 'boolean', help: 'print the ports in use and all events as lines of JSON' },
  },
  examples: [
    ['switchback sidecar', "serve flags/use-redis.json on flagd's own ports"],
    ['switchback sidecar --file my.json --evaluation-port 0', 'another file, on a free port'],
    [
      'switchback sidecar --file team.json --file mine.json',
      'two files; mine.json overrides team.json',
    ],
  ],
  async run({ values, stdout, stderr, signal }) {
    const file = values.file.length === 0 ? ['flags/use-redis.json'] : values.file
    const ports = {
      evaluation: port('evaluation-port', values['evaluation-port'], PORTS.evaluation),
      management: port('management-port', values['management-port'], PORTS.management),
      sync: port('sync-port', values['sync-port'], PORTS.sync),
      ofrep: port('ofrep-port', values['ofrep-port'], PORTS.ofrep),
    }
    const print = (entry: object, line: string): void => {
      stdout.write(`${values.json ? JSON.stringify(entry) : line}\n`)
    }
    const sidecar = await startSidecar({
      file,
      ports,
      ...(values.host === undefined ? {} : { host: values.host }),
      onLog(entry) {
        if (values.json) print(entry, '')
        else (entry.level === 'error' ? stderr : stdout).write(`${entry.level}: ${entry.message}\n`)
      },
    })
    const { evaluation, management, sync, ofrep } = sidecar.ports
    print(
      { ready: true, file: file.length === 1 ? file[0] : file, ports: sidecar.ports },
      `serving ${file.map((path) => quote(path)).join(', ')}: evaluation ${evaluation}, sync ${sync}, OFREP ${ofrep}, health ${management}`,
    )
    if (!signal.aborted) await once(signal, 'abort')
    await sidecar.close()
    return exitCode.done
  },
})

function port(name: string, value: string | undefined, fallback: number): number {
  if (value === undefined) return fallback
  if (/^\d{1,5}$/.test(value) && Number(value) <= 65_535) return Number(value)
  throw usageError(`--${name} cannot be ${quote(value)}`, 'give a number from 0 to 65535')
}
