import { displayPath } from '../framework/format.ts'
import type { Style } from '../framework/style.ts'
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

/** What the service uses, and what to try next. */
export function startReport(parts: StartReport, style: Style): string {
  const { url, metricsUrl, http, metrics, stack, settings, control, traffic } = parts
  const { files, redis, flags } = stack
  const instead = ({ instead }: PickedPort): string => {
    return instead === undefined ? '' : style.yellow(`  (${instead} is in use)`)
  }
  const part = ({ detail, answers }: Part, without: string): string => {
    return answers ? detail : style.yellow(`${detail}; does not answer yet: ${without}`)
  }
  const noRedis = style.yellow(`none: ${redis.detail}; the old side (files) serves all users`)
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
    [
      'redis',
      redis.url === undefined ? noRedis : part(redis, 'the old side (files) serves all users'),
    ],
    ['files', part(files, 'the new side (Redis) serves all users')],
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

/** The page edits a file, and which file another flagd reads is unknown here. */
function noControl({ flags }: Stack): [string, string][] {
  return flags.local
    ? []
    : [['control', 'not started, because another flagd is in use: run switchback control yourself']]
}

function notServed({ flags, flagsBy }: StartSettings): string {
  return `it does not serve ${flagsBy} ${displayPath(flags)}`
}

function edit(flags: string): string {
  const file = flags.endsWith('.json') ? flags : `${displayPath(flags)}/use-redis.json`
  return `edit the weights in ${file} and run it again`
}
