import type { ControlHistory } from '../../state/state.ts'
import { byId, h } from '../dom.ts'
import { changeText } from './last-change.ts'

const SHOWN = 50

/** The audit log, the latest first. */
export function historyList(): { history(history: ControlHistory): void } {
  const list = h('ol', { class: 'history', tabindex: '0', 'aria-labelledby': 'history-title' })
  byId('history').append(list)
  return {
    history(history) {
      const entries = history.slice(-SHOWN).toReversed()
      list.replaceChildren(
        ...(entries.length === 0
          ? [h('li', { class: 'empty' }, 'No change yet.')]
          : entries.map(entry)),
      )
    },
  }
}

function entry(change: ControlHistory[number]): Node {
  const date = new Date(change.at)
  const today = date.toDateString() === new Date().toDateString()
  const time = date.toLocaleTimeString([], {
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    hourCycle: 'h23',
  })
  const day = date.toLocaleDateString([], { month: 'short', day: 'numeric' })
  return h(
    'li',
    {},
    h('time', { datetime: date.toISOString(), title: date.toLocaleString() }, today ? time : day),
    h('span', {}, changeText(change)),
    h('span', {}),
    h('span', { class: 'who' }, whoText(change)),
  )
}

function whoText({ action, who, via, reason, warning }: ControlHistory[number]): string {
  if (action === 'outside') return warning === '' ? 'by hand' : `by hand: ${warning}`
  return `${who}, ${via}${reason === '' ? '' : `: ${reason}`}`
}
