import type { ControlHistory, ControlState } from '../../state/state.ts'
import { byId, h, whenChanged } from '../dom.ts'
import { clock } from '../../../clock.ts'
import { day } from '../page-format.ts'
import { changeText } from './last-change.ts'

const SHOWN = 50

/** The audit log, the latest first. */
export function historyList(): {
  update(state: ControlState): void
  history(history: ControlHistory): void
} {
  const list = h('ol', { class: 'history', tabindex: '0', 'aria-labelledby': 'history-title' })
  byId('history').append(list)
  let entries: ControlHistory = []
  return {
    history(history) {
      entries = history.slice(-SHOWN).toReversed()
    },
    update({ at }) {
      // A change of yesterday is shown with its day.
      const key = JSON.stringify([entries, day(at)])
      whenChanged(list, key, () =>
        entries.length === 0
          ? [h('li', { class: 'empty' }, 'No change yet.')]
          : entries.map((change) => entry(change, at)),
      )
    },
  }
}

function entry(change: ControlHistory[number], now: number): Node {
  const date = new Date(change.at)
  const today = date.toISOString().slice(0, 10) === new Date(now).toISOString().slice(0, 10)
  return h(
    'li',
    {},
    h(
      'time',
      { datetime: date.toISOString(), title: `${day(change.at)}, ${clock(change.at)} UTC` },
      today ? clock(change.at) : day(change.at),
    ),
    h('span', {}, changeText(change)),
    h('span', {}),
    h('span', { class: 'who' }, whoText(change)),
  )
}

function whoText({ action, who, via, reason, warning }: ControlHistory[number]): string {
  if (action === 'outside') return warning === '' ? 'by hand' : `by hand: ${warning}`
  return `${who}, ${via}${reason === '' ? '' : `: ${reason}`}`
}
