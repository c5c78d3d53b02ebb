import type { ChangeAnswer, ControlInfo, ControlState } from '../../state/state.ts'
import { ApiError, requestRollback } from '../api.ts'
import { byId, h, setAttribute, setText } from '../dom.ts'
import { wholeMs } from '../page-format.ts'

const goBack = 'everyone to the old side'

/**
 * The rollback button: one click, no question, a stopwatch until flagd serves it. It is there from
 * the first moment and needs nothing from the server.
 */
export function rollbackButton(info: () => ControlInfo | undefined): {
  update(state: ControlState): void
} {
  const label = h('span', {}, 'Roll back')
  const below = h('small', {}, goBack)
  const button = h('button', { class: 'rollback', type: 'button', id: 'rollback' }, label, below)
  const result = byId('back-result')
  let wayBack: ControlState['wayBack'] | undefined
  let running = false
  /** A rollback that was not confirmed: what is shown follows the updates until it is. */
  let pending = false
  /** What is shown says that all are back, and an update has said so too. */
  let back: 'no' | 'told' | 'seen' = 'no'
  byId('back').append(button)
  button.addEventListener('click', () => void run())

  async function run(): Promise<void> {
    if (running) return
    running = true
    pending = false
    setAttribute(button, 'aria-busy', 'true')
    const started = performance.now()
    const watch = setInterval(() => {
      setText(below, `${wholeMs(performance.now() - started)} and counting`)
    }, 50)
    setText(label, 'Rolling back')
    try {
      const answer = await requestRollback()
      pending = !answer.confirmed
      if (pending) showPending(answer)
      else show(...doneText(answer))
    } catch (error) {
      failed(error)
    } finally {
      clearInterval(watch)
      running = false
      button.removeAttribute('aria-busy')
      setText(label, 'Roll back')
      setText(below, belowText())
    }
  }

  /** The answer is outdated: what the page knows now is more. */
  function showPending(answer?: ChangeAnswer): void {
    if (wayBack?.state === 'back') {
      pending = false
      show('done', 'Back', 'All users are on the old side: all that can be asked agree.')
      return
    }
    if (wayBack?.state === 'not-back' || wayBack?.state === 'unsure') {
      show('failed', 'NOT back yet', `${wayBack.sentence}. ${wayBack.next}`)
    } else if (answer !== undefined) {
      show('failed', 'NOT back yet', `${answer.cause}. ${answer.hint}`)
    }
  }

  function show(outcome: string, title: string, detail: string, ...more: readonly Node[]): void {
    back = outcome === 'done' ? 'told' : 'no'
    const close = h('button', { class: 'link close', type: 'button' }, 'Close')
    close.addEventListener('click', () => {
      pending = false
      result.hidden = true
      button.focus()
    })
    setAttribute(result, 'data-outcome', outcome)
    result.hidden = false
    result.replaceChildren(
      h('div', { class: 'row' }, h('strong', {}, title), h('span', {}, detail), ...more, close),
    )
  }

  function failed(error: unknown): void {
    const known = error instanceof ApiError ? error : undefined
    if (known?.code === 'SB_CONTROL_TOKEN') {
      show('failed', 'Nothing was changed', 'A rollback from here needs the token.')
      return
    }
    if (known?.code === 'unreachable') {
      const { file = 'FILE', flag = 'FLAG' } = info() ?? {}
      const command = h('code', {}, `switchback rollback --file ${file} --flag ${flag}`)
      show('failed', 'The control page does not answer', 'On the machine with the file:', command)
      return
    }
    const message = known?.message ?? String(error)
    show('failed', 'Not rolled back', `${message}. ${known?.hint ?? ''}`)
  }

  function belowText(): string {
    return wayBack?.state === 'back' ? 'all users are on the old side' : goBack
  }

  return {
    update(state) {
      wayBack = state.wayBack
      setAttribute(button, 'data-idle', String(wayBack.state === 'back'))
      if (running) return
      setText(below, belowText())
      if (wayBack.state !== 'open' && back === 'told') back = 'seen'
      // Widened again since: nobody is to read that all users are on the old side.
      if (wayBack.state === 'open' && back === 'seen') {
        back = 'no'
        result.hidden = true
      }
      if (!pending) return
      // The split was widened again: the rollback is no longer awaited.
      if (wayBack.state === 'open') pending = false
      else showPending()
    },
  }
}

function doneText(answer: ChangeAnswer): [outcome: string, title: string, detail: string] {
  const { written, servedMs, lastMs, movers, processes, warning } = answer
  const all =
    processes === null
      ? ''
      : ` ${processes.deciding} of ${processes.known} processes confirm it${written ? ` after ${wholeMs(processes.lastMs ?? 0)}` : ''}.`
  if (!written) return ['done', 'All users were on the old side already', `Confirmed.${all}`]
  if (servedMs === null) return ['done', 'Back.', `${all} ${warning}`.trim()]
  const last =
    movers > 1 ? ` The last of ${movers} probe users was back after ${wholeMs(lastMs ?? 0)}.` : ''
  return ['done', `Back: served after ${wholeMs(servedMs)}.`, `${last}${all} ${warning}`.trim()]
}
