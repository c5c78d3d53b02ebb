import type { Style } from '../style.ts'
import { displayPath } from './flag-place.ts'
import type { PickedPort } from './pick-port.ts'
import type { Stack } from './stack.ts'
import type { StartSettings } from './start-settings.ts'

export interface StartReport {
  readonly url: string
  readonly metricsUrl: string
  readonly http: PickedPort
  readonly metrics: PickedPort
  readonly stack: Stack
  readonly settings: StartSettings
}

/** What the service stands on, and what to try next. */
export function startReport(parts: StartReport, style: Style): string {
  const { url, metricsUrl, http, metrics, stack, settings } = parts
  const { redis, flags } = stack
  const instead = ({ instead }: PickedPort): string => {
    return instead === undefined ? '' : style.yellow(`  (${instead} is taken)`)
  }
  const noRedis = `none: ${redis.detail}; the file side serves everybody`
  const rows: [string, string][] = [
    ['service', `${url}${instead(http)}`],
    ['metrics', `${metricsUrl}${instead(metrics)}`],
    ['flags', flags.detail],
    ['redis', redis.url === undefined ? style.yellow(noRedis) : redis.detail],
    ['files', displayPath(settings.cacheDirectory)],
    ['', ''],
    ['try', `curl -i ${url}/users/user_0`],
    ...(flags.local ? [['then', edit(settings.flags)] as [string, string]] : []),
    ['state', `curl ${url}/readyz`],
    ['stop', 'Ctrl-C'],
  ]
  return rows.map(([name, text]) => `  ${style.dim(name.padEnd(8))}${text}`.trimEnd()).join('\n')
}

function edit(flags: string): string {
  const file = flags.endsWith('.json') ? flags : `${displayPath(flags)}/use-redis.json`
  return `edit the weights in ${file} and ask again`
}
