import { sinceText } from '../../since-text.ts'
import type { ControlState } from '../../state/state.ts'
import { isEnough, sideName } from '../side-name.ts'
import { byId, h, whenChanged } from '../dom.ts'
import { agoText, ms, rate, share } from '../page-format.ts'
import { processText, servedText } from './serving.ts'

type Tone = '' | 'tick-ok' | 'tick-bad' | 'tick-watch'

/** What the two sides depend on: flagd, breakers, pending invalidations, replicas. */
export function beneath(): { update(state: ControlState): void } {
  const list = h('dl', { class: 'rows' })
  byId('beneath').append(list)
  return {
    update(state) {
      const rows = rowsOf(state)
      whenChanged(list, JSON.stringify(rows), () =>
        rows.flatMap(([name, text, tone]) => [h('dt', {}, name), h('dd', { class: tone }, text)]),
      )
    },
  }
}

function rowsOf({
  flag,
  fleet,
  processes,
  flagOutages,
  at,
}: ControlState): [name: string, text: string, tone: Tone][] {
  const { served, description } = flag
  const { tone, text } = servedText(served)
  const since = served.state === 'same' ? '' : `, ${agoText(served.since, at)}`
  const live = fleet.replicas.filter(({ live: up }) => up).length
  const total = fleet.replicas.length
  const rows: [string, string, Tone][] = [
    ['flagd, compared with the file', `${text}${since}`, `tick-${tone}`],
    ...processRow(processes),
    ...flagOutageRow(flagOutages),
    [
      'rule',
      description === null ? 'unknown' : `${description.shape}, ${description.state.toLowerCase()}`,
      '',
    ],
    ...(['on', 'off'] as const).map((side): [string, string, Tone] => {
      const open = fleet.breakersOpen[side]
      const name = sideName(side, fleet.backends[side])
      if (live === 0) return [`breaker, ${name}`, 'unknown', '']
      return open === 0
        ? [`breaker, ${name}`, 'closed', 'tick-ok']
        : [
            `breaker, ${name}`,
            `open on ${open} of ${live}${sinceText(fleet.outSince[side])}`,
            'tick-bad',
          ]
    }),
    ...(fleet.of === 'switch' ? [] : (['on', 'off'] as const)).map(
      (side): [string, string, Tone] => {
        const name = sideName(side, fleet.backends[side])
        const owed = fleet.owed[side]
        if (owed === null) return [`pending, ${name}`, live === 0 ? 'unknown' : 'not exported', '']
        return [
          `pending, ${name}`,
          owed === 0
            ? 'nothing'
            : owed === 1
              ? '1 invalidation'
              : `${Math.round(owed).toLocaleString('en-US')} invalidations`,
          owed === 0 ? 'tick-ok' : 'tick-watch',
        ]
      },
    ),
    [
      'event loop delay',
      ms(fleet.eventLoopDelay),
      (fleet.eventLoopDelay ?? 0) > 200 ? 'tick-watch' : '',
    ],
    ['replicas', `${live} of ${total} answer`, live === total ? '' : 'tick-bad'],
  ]
  for (const replica of fleet.replicas.slice(0, 12)) {
    const name = replica.url.replace(/^https?:\/\//, '').replace(/\/metrics$/, '')
    rows.push(
      replica.live && replica.error === ''
        ? [
            name,
            `${rate(replica.operations)}/s, ${share(replica.bad)} bad`,
            (replica.bad ?? 0) >= 0.05 && isEnough(replica.bad ?? 0, replica.operations)
              ? 'tick-bad'
              : '',
          ]
        : [name, replica.error, 'tick-bad'],
    )
  }
  if (total > 12) rows.push(['', `and ${total - 12} more`, ''])
  return rows
}

function flagOutageRow(reading: ControlState['flagOutages']): [string, string, Tone][] {
  const { told, down, process, since, backAt } = reading
  if (told === 0) return []
  const name = 'flags of the processes'
  if (down > 0) {
    return [[name, `${down} of ${told} without${sinceText(since)}: ${process}`, 'tick-bad']]
  }
  if (since === null || backAt === null) return [[name, 'reached', 'tick-ok']]
  const seconds = Math.max(1, Math.round((backAt - since) / 1000))
  const text = `reached again${sinceText(backAt)}; ${process} was without for ${seconds} s`
  return [[name, text, 'tick-ok']]
}

function processRow(processes: ControlState['processes']): [string, string, Tone][] {
  if (processes.known === 0) return []
  const { tone, text } = processText(processes)
  const first = processes.list.find(({ agrees }) => !agrees)
  const why = first === undefined ? '' : `: ${first.process} ${first.cause}`
  return [['processes, compared with the file', `${text}${why}`, `tick-${tone}`]]
}
