import type { ChangeAnswer, ControlInfo, ControlState } from '../state.ts'
import { ApiError, rollBack } from './api.ts'
import { byId, h, setAttribute, setText } from './dom.ts'
import { wholeMs } from './format.ts'

/**
 * The way back: one click, no question, a stopwatch until flagd serves it. It is there from the first
 * moment and needs no news from the server.
 */
export function rollbackButton(info: () => ControlInfo | undefined): {
  update(state: ControlState): void
} {
  const label = h('span', {}, 'Roll back')
  const below = h('small', {}, 'everybody to off')
  const button = h('button', { class: 'rollback', type: 'button', id: 'rollback' }, label, below)
  const result = byId('back-result')
  let idle = false
  let running = false
  byId('back').append(button)
  button.addEventListener('click', () => void run(false))

  async function run(disable: boolean): Promise<void> {
    if (running) return
    running = true
    setAttribute(button, 'aria-busy', 'true')
    const started = performance.now()
    const watch = setInterval(() => {
      setText(below, `${wholeMs(performance.now() - started)} and counting`)
    }, 50)
    setText(label, 'Rolling back')
    try {
      show(...doneText(await rollBack(disable)))
    } catch (error) {
      failed(error, disable)
    } finally {
      clearInterval(watch)
      running = false
      button.removeAttribute('aria-busy')
      setText(label, 'Roll back')
      setText(below, belowText())
    }
  }

  function show(outcome: string, title: string, detail: string, ...more: readonly Node[]): void {
    const close = h('button', { class: 'link close', type: 'button' }, 'Close')
    close.addEventListener('click', () => {
      result.hidden = true
      button.focus()
    })
    setAttribute(result, 'data-outcome', outcome)
    result.hidden = false
    result.replaceChildren(
      h('div', { class: 'row' }, h('strong', {}, title), h('span', {}, detail), ...more, close),
    )
  }

  function failed(error: unknown, disabled: boolean): void {
    const known = error instanceof ApiError ? error : undefined
    if (known?.code === 'SB_CONTROL_TOKEN') {
      show('failed', 'Nothing was changed', 'A rollback from here needs the token.')
      return
    }
    if (known?.code === 'unreachable') {
      const { file = 'FILE', flag = 'FLAG' } = info() ?? {}
      const command = h('code', {}, `switchback rollback --file ${file} --flag ${flag}`)
      show('failed', 'The control room does not answer', 'On the machine with the file:', command)
      return
    }
    const message = known?.message ?? String(error)
    const disable = h('button', { class: 'plain', type: 'button' }, 'Disable the flag instead')
    disable.addEventListener('click', () => void run(true))
    const offer = !disabled && known?.code === 'SB_SHAPE_UNKNOWN' ? [disable] : []
    show('failed', 'Not rolled back', `${message}. ${known?.hint ?? ''}`, ...offer)
  }

  function belowText(): string {
    return idle ? 'everybody is on off' : 'everybody to off'
  }

  return {
    update({ flag }) {
      const { description, error } = flag
      const disabled = description?.state === 'DISABLED'
      idle =
        error === null &&
        (disabled || (description?.share === 0 && description.pilots === 0)) &&
        flag.served.state !== 'different'
      setAttribute(button, 'data-idle', String(idle))
      if (!running) setText(below, belowText())
    },
  }
}

function doneText(answer: ChangeAnswer): [outcome: string, title: string, detail: string] {
  const { written, confirmed, servedMs, lastMs, movers, cause, hint, warning } = answer
  if (!confirmed) {
    const title = written
      ? 'The file is written, but not confirmed'
      : 'The file says off, but not confirmed'
    return ['unconfirmed', title, `${cause}. ${hint}`]
  }
  if (!written) return ['done', 'Everybody was back already', 'flagd confirms it.']
  const last =
    movers > 1 ? ` The last of ${movers} probe users was back after ${wholeMs(lastMs ?? 0)}.` : ''
  return ['done', `Back: served after ${wholeMs(servedMs ?? 0)}.`, `${last} ${warning}`.trim()]
}
