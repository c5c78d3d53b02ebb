import type { BeforeAfter, ChangeEffect } from '../../state/change-reading.ts'
import type { ControlHistory, ControlState } from '../../state/state.ts'
import { ApiError, requestUndo } from '../api.ts'
import { byId, h, setText, whenChanged } from '../dom.ts'
import { agoText, ms, percentText, share } from '../page-format.ts'
import { isEnough, isEnoughForP99, WINDOW_S } from '../side-name.ts'

/** What was changed last, by whom, and what all users have experienced since. */
export function lastChange(): {
  update(state: ControlState): void
  history(history: ControlHistory): void
} {
  const root = byId('last')
  const what = h('p', { class: 'last-what' }, 'None yet')
  const when = h(
    'p',
    { class: 'soft' },
    'Changes by this page, the command line, the guard and editors appear here.',
  )
  const warning = h('p', { class: 'preview', 'data-tone': 'trouble', role: 'status' })
  warning.hidden = true
  const effect = h('div', { class: 'effect' })
  const outcome = h('p', { class: 'outcome', role: 'status' })
  const back = h('button', { class: 'link', type: 'button' }, 'Undo this change')
  back.hidden = true
  root.append(what, when, warning, effect, back, outcome)
  let last: ControlHistory[number] | undefined

  back.addEventListener('click', () => void takeBack())
  async function takeBack(): Promise<void> {
    back.disabled = true
    try {
      const answer = await requestUndo()
      const move = `${percentText(answer.from)} \u2192 ${percentText(answer.to)}`
      const missing = answer.confirmed ? '' : `, but NOT everywhere yet: ${answer.cause}`
      setText(outcome, `Undone: ${move}${missing}`)
    } catch (error) {
      setText(
        outcome,
        error instanceof ApiError ? `${error.message}. ${error.hint}` : String(error),
      )
    } finally {
      back.disabled = false
    }
  }

  return {
    history(history) {
      last = history.at(-1)
      if (last === undefined) return
      setText(what, changeText(last))
      setText(warning, last.warning === '' ? '' : `Warning: ${last.warning}`)
      warning.hidden = last.warning === ''
      back.hidden = last.action === 'undo' || !last.known
    },
    update(state) {
      if (last === undefined) return
      const why = last.reason === '' ? '' : `: ${last.reason}`
      const who = last.action === 'outside' ? 'with an editor or another tool' : `by ${last.who}`
      setText(when, `${agoText(last.at, state.at)} ${who}${why}`)
      const felt = state.effect
      const rows =
        felt === null ? '' : JSON.stringify([texts(felt.bad, share), texts(felt.p99, ms)])
      whenChanged(effect, rows, () =>
        felt === null || felt.seconds === 0
          ? []
          : [...row('errors', felt.bad, share, felt), ...row('p99', felt.p99, ms, felt)],
      )
    },
  }
}

/** `10 % -> 25 %`, `rolled back from 25 %` */
export function changeText({ action, from, to, known }: ControlHistory[number]): string {
  const move = `${percentText(from)} \u2192 ${percentText(to)}`
  switch (action) {
    case 'rollback':
      return `Rolled back: ${move}`
    case 'restore':
      return `Restored, all users on the old side: ${move}`
    case 'undo':
      return `Undone: ${move}`
    case 'set':
      return move
    case 'disable':
      return 'Flag disabled'
    case 'pilot':
      return 'Pilot added'
    case 'pilot-remove':
      return 'Pilot removed'
    default:
      // Of an edit by hand before the first line of the history the share before is unknown.
      if (!known) return 'The file was edited by hand'
      return from === to ? `Edited by hand, still ${percentText(to)}` : `Edited by hand: ${move}`
  }
}

type Format = (value: number | null) => string

function texts({ before, after }: BeforeAfter, format: Format): string[] {
  return [format(before), format(after)]
}

function row(name: string, value: BeforeAfter, format: Format, felt: ChangeEffect): Node[] {
  const { before, after } = value
  const [was, is] = texts(value, format)
  const floor = name === 'errors' ? 0.001 : 0.1
  // Too few operations since then prove nothing.
  const perSecond = ((felt.operations.after ?? 0) * felt.seconds) / WINDOW_S
  const enough = name === 'errors' ? isEnough(after ?? 0, perSecond) : isEnoughForP99(perSecond)
  const worse = enough && before !== null && after !== null && after > before * 1.5 + floor
  const better = before !== null && after !== null && before > after * 1.5 + floor
  const tone = worse ? 'now worse' : better ? 'now better' : 'now'
  return [
    h('span', { class: 'soft' }, `${name}, all users`),
    h('span', {}, was ?? ''),
    h('span', { class: 'soft' }, '\u2192'),
    h('span', { class: tone }, `${is ?? ''}${worse ? ', worse' : better ? ', better' : ''}`),
  ]
}
