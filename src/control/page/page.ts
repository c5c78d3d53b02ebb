import type { ControlInfo, ControlState } from '../state/state.ts'
import { get } from './api.ts'
import { beneath } from './panels/beneath.ts'
import { charts } from './charts/charts.ts'
import { connect } from './connection.ts'
import { PageData } from './charts/data.ts'
import { byId, h, setText, whenChanged } from './dom.ts'
import { clock } from '../../clock.ts'
import { guardPanel } from './panels/guard.ts'
import { historyList } from './panels/history.ts'
import { lastChange } from './panels/last-change.ts'
import { rollbackButton } from './panels/rollback.ts'
import { serving } from './panels/serving.ts'
import { sides } from './panels/sides.ts'
import { splitControl } from './panels/split.ts'
import { switches } from './panels/switches.ts'

let info: ControlInfo | undefined
const data = new PageData()
// First: the rollback button must not wait for anything else, nor fail with it.
const rollback = rollbackButton(() => info)
const last = lastChange()
const picture = charts(data)
const list = historyList()
const whole = [serving(), sides(), switches(), splitControl(), guardPanel(), beneath()]
const parts = [rollback, last, picture, list, ...whole]
let latest: ControlState | undefined

void learn()
connect(data, {
  tick(state) {
    latest = state
    showHeadline(state)
    for (const part of parts) part.update(state)
  },
  history(history) {
    for (const part of [last, picture, list]) part.history(history)
  },
  live: showLive,
})

const WORDS = { ok: 'Healthy', watch: 'Look', trouble: 'Trouble', unknown: 'Unclear' } as const

function showHeadline({ at, headline, flag }: ControlState): void {
  setText(byId('clock'), `${clock(at)} UTC by the server`)
  document.body.dataset['level'] = headline.level
  setText(byId('headline'), `${WORDS[headline.level]}: ${headline.sentence}`)
  const share = flag.description?.share
  document.title = `${share === undefined ? '' : `${share} % `}${flag.name} \u00b7 Switchback`
  const findings = byId('findings')
  const others = headline.findings.slice(1)
  findings.hidden = others.length === 0
  whenChanged(findings, JSON.stringify(others), () =>
    others.map(({ level, sentence }) => h('li', { 'data-level': level }, sentence)),
  )
}

function showLive(live: boolean, silentMs: number): void {
  document.body.dataset['live'] = live ? 'live' : 'lost'
  const lost = document.hidden
    ? 'paused while nobody looks'
    : `no update for ${Math.round(silentMs / 1000)} s: the numbers are outdated, reconnecting`
  setText(byId('live'), live ? 'live' : lost)
  if (live) {
    if (info === undefined) void learn()
    return
  }
  // What was healthy then need not be so now.
  document.body.dataset['level'] = 'unknown'
  document.title = document.title.replace(/^(?!\? )/, '? ')
  if (latest === undefined) return
  const { at, headline } = latest
  const last = `${WORDS[headline.level]}: ${headline.sentence}`
  setText(byId('headline'), `Unknown now. At ${clock(at)} UTC: ${last}`)
}

async function learn(): Promise<void> {
  try {
    info = await get<ControlInfo>('/api/info')
    setText(byId('flag-name'), info.flag)
    const flagd = info.flagd === '' ? 'flagd is not asked' : `flagd at ${info.flagd}`
    const signed = info.token ? 'changes need the token' : `changes are signed ${info.operator}`
    setText(
      byId('about'),
      `Switchback ${info.version} \u00b7 ${info.file} \u00b7 ${flagd} \u00b7 ${signed}`,
    )
  } catch {
    // The next update tries again.
  }
}
