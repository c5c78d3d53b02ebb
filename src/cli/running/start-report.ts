import { displayPath } from '../format.ts'
import type { Style } from '../style.ts'
import type { PickedPort } from './pick-port.ts'
import type { Part, Stack } from './stack.ts'
import type { StartSettings } from './start-settings.ts'

export interface StartReport {
  readonly url: string
  readonly metricsUrl: string
  readonly http: PickedPort
  readonly metrics: PickedPort
  readonly stack: Stack
  readonly settings: StartSettings
  readonly control: { readonly url: string; readonly port: PickedPort } | undefined
  /** Whether sample traffic is sent. */
  readonly traffic: boolean
}

/** What the service stands on, and what to try next. */
export function startReport(parts: StartReport, style: Style): string {
  const { url, metricsUrl, http, metrics, stack, settings, control, traffic } = parts
  const { files, redis, flags } = stack
  const instead = ({ instead }: PickedPort): string => {
    return instead === undefined ? '' : style.yellow(`  (${instead} is taken)`)
  }
  const part = ({ detail, answers }: Part, without: string): string => {
    return answers ? detail : style.yellow(`${detail}; does not answer yet: ${without}`)
  }
  const noRedis = style.yellow(`none: ${redis.detail}; the file side serves everybody`)
  const rows: [string, string][] = [
    ['service', `${url}${instead(http)}`],
    ...(control === undefined
      ? noControl(stack)
      : [['control', `${control.url}${instead(control.port)}`] as [string, string]]),
    ['metrics', `${metricsUrl}${instead(metrics)}`],
    ['flags', part(flags, 'all users are on the old side')],
    ...(flags.local || settings.flagsBy === undefined
      ? []
      : [['', style.yellow(notServed(settings))] as [string, string]]),
    ['redis', redis.url === undefined ? noRedis : part(redis, 'the file side serves everybody')],
    ['files', part(files, 'the Redis side serves everybody')],
    ...(traffic
      ? [['traffic', '20 sample requests a second (--no-traffic: none)'] as [string, string]]
      : []),
    ['', ''],
    ['try', `curl -i ${url}/users/user_0`],
    ...(flags.local ? [['then', edit(settings.flags)] as [string, string]] : []),
    ['state', `curl ${url}/readyz`],
    ['stop', 'Ctrl-C'],
  ]
  return rows.map(([name, text]) => `  ${style.dim(name.padEnd(8))}${text}`.trimEnd()).join('\n')
}

/** The page moves a file, and which one another flagd reads is not known here. */
function noControl({ flags }: Stack): [string, string][] {
  return flags.local ? [] : [['control', 'not started beside a flagd of yours: switchback control']]
}

function notServed({ flags, flagsBy }: StartSettings): string {
  return `${flagsBy} ${displayPath(flags)} is not what it serves`
}

function edit(flags: string): string {
  const file = flags.endsWith('.json') ? flags : `${displayPath(flags)}/use-redis.json`
  return `edit the weights in ${file} and ask again`
}
