import type { ChangeAnswer, ControlState, PreviewAnswer } from '../../state/state.ts'
import { ApiError, askPreview, requestShare } from '../api.ts'
import { confirmChange } from './confirm.ts'
import { byId, h, setAttribute, setText } from '../dom.ts'
import { percentText, wholeMs } from '../page-format.ts'

const STEPS = [0, 1, 5, 10, 25, 50, 100] as const
/** While the slider is being dragged, no preview is requested. */
const SETTLE_MS = 150

/** The slider: the preview, then the diff, then the change. */
export function splitControl(): { update(state: ControlState): void } {
  const range = h('input', {
    type: 'range',
    min: '0',
    max: '100',
    step: '1',
    'aria-label': 'Share of the users on the new side, in percent',
  })
  const number = h('input', {
    type: 'number',
    min: '0',
    max: '100',
    step: '0.001',
    'aria-label': 'Share in percent, exactly',
    inputmode: 'decimal',
  })
  const steps = STEPS.map((step) =>
    h('button', { type: 'button', 'data-step': String(step) }, `${step} %`),
  )
  const preview = h('p', { class: 'preview', role: 'status', 'aria-live': 'polite' })
  const review = h('button', { class: 'primary', type: 'button', id: 'review' }, 'Review')
  const reset = h('button', { class: 'link', type: 'button' }, 'Reset')
  const outcome = h('p', { class: 'outcome', role: 'status' })
  byId('split').append(
    h(
      'div',
      { class: 'slide' },
      range,
      h('label', { class: 'percent' }, number, '%'),
      h('div', { class: 'chips' }, ...steps),
    ),
    preview,
    h('div', { class: 'actions' }, review, reset),
    outcome,
  )

  let now: number | undefined
  let wanted: number | undefined
  let looked: PreviewAnswer | undefined
  let asking = new AbortController()
  let timer: ReturnType<typeof setTimeout> | undefined

  const shown = (): number | undefined => wanted ?? now
  const render = (): void => {
    const value = shown()
    range.disabled = number.disabled = now === undefined
    if (document.activeElement !== number) number.value = value === undefined ? '' : String(value)
    range.value = String(value ?? 0)
    setAttribute(range, 'aria-valuetext', percentText(value))
    for (const button of steps)
      setAttribute(button, 'aria-pressed', String(Number(button.dataset['step']) === value))
    const changed = wanted !== undefined && wanted !== now
    // Not while the preview is loading: the Tab key would skip it.
    review.disabled = !changed
    setText(review, changed ? `Review ${percentText(now)} \u2192 ${percentText(wanted)}` : 'Review')
    reset.hidden = !changed
    if (!changed) {
      setText(
        preview,
        now === undefined
          ? 'The share cannot be changed from here now.'
          : 'Move the slider to see who would move. Nothing is written until you confirm.',
      )
      setAttribute(preview, 'data-tone', '')
    }
  }
  const want = (value: number | undefined): void => {
    wanted = value === now ? undefined : value
    looked = undefined
    asking.abort()
    clearTimeout(timer)
    setText(outcome, '')
    if (wanted !== undefined) {
      setText(preview, 'Computing who would move \u2026')
      timer = setTimeout(() => void look(), SETTLE_MS)
    }
    render()
  }
  /** False: it is out of date before it is there, since the share or what is wanted has changed. */
  const look = async (): Promise<boolean> => {
    if (wanted === undefined) return true
    asking = new AbortController()
    const { signal } = asking
    try {
      const answer = await askPreview(wanted, signal)
      if (signal.aborted) return false
      looked = answer
      const losing = answer.leaves > 0 && (answer.to ?? 0) >= (answer.from ?? 0)
      setText(preview, `${answer.sentence}${losing ? ', although the share grows!' : ''}`)
      setAttribute(preview, 'data-tone', losing ? 'trouble' : '')
    } catch (error) {
      if (signal.aborted) return false
      setText(preview, messageOf(error))
      setAttribute(preview, 'data-tone', 'trouble')
    }
    render()
    return true
  }
  /** What a review of this choice shows. Somebody else may change the share meanwhile: then it is asked once more. */
  const reviewed = async (share: number): Promise<PreviewAnswer | undefined> => {
    if (wanted !== share || looked !== undefined) return looked
    clearTimeout(timer)
    return (await look()) ? looked : reviewed(share)
  }
  const confirm = async (): Promise<void> => {
    const share = wanted
    if (share === undefined) return
    const answer = await reviewed(share)
    if (answer === undefined || wanted !== share) return
    const { hash } = answer
    const agreed = await confirmChange(answer)
    if (agreed === undefined) {
      review.focus()
      return
    }
    setAttribute(outcome, 'data-outcome', '')
    setText(outcome, 'Writing, and waiting until all confirm it \u2026')
    review.disabled = true
    try {
      const changed = await requestShare({ share, hash, reason: agreed.reason })
      const [tone, text] = outcomeText(changed)
      // An answer may take as long as flagd does. A choice made since then stays, and the ticks
      // know the share better than an old answer.
      if (wanted === share) {
        now = changed.to ?? now
        want(undefined)
      }
      setAttribute(outcome, 'data-outcome', tone)
      setText(outcome, text)
    } catch (error) {
      setAttribute(outcome, 'data-outcome', 'failed')
      setText(outcome, `Not changed: ${messageOf(error)}`)
      looked = undefined
      timer = setTimeout(() => void look(), SETTLE_MS)
    }
    render()
  }

  range.addEventListener('input', () => want(range.valueAsNumber))
  number.addEventListener('input', () => {
    const { value } = number
    const parsed = Number(value)
    if (value.trim() !== '' && parsed >= 0 && parsed <= 100) want(parsed)
  })
  number.addEventListener('blur', render)
  for (const button of steps)
    button.addEventListener('click', () => want(Number(button.dataset['step'])))
  review.addEventListener('click', () => void confirm())
  reset.addEventListener('click', () => {
    want(undefined)
    range.focus()
  })
  render()

  return {
    update({ flag }) {
      const { description, error } = flag
      const share =
        error === null && description?.shape !== 'unknown' ? description?.share : undefined
      if (share === now) return
      now = share
      // Somebody else changed it: the preview is no longer valid.
      want(wanted)
    },
  }
}

function outcomeText(answer: ChangeAnswer): [tone: string, text: string] {
  const move = `${percentText(answer.from)} \u2192 ${percentText(answer.to)}`
  if (!answer.confirmed)
    return ['failed', `${move} is written, but NOT everywhere yet: ${answer.cause}. ${answer.hint}`]
  const { servedMs, processes, warning } = answer
  const served = servedMs === null ? '' : `flagd serves it, after ${wholeMs(servedMs)}`
  const all =
    processes === null
      ? ''
      : `${processes.deciding} of ${processes.known} processes decide it, after ${wholeMs(processes.lastMs ?? 0)}`
  const parts = [served, all].filter((part) => part !== '').join('; ')
  return ['done', `${move}: ${parts}. ${warning}`.trim()]
}

function messageOf(error: unknown): string {
  if (error instanceof ApiError)
    return `${error.message}${error.hint === '' ? '' : `; ${error.hint}`}`
  return String(error)
}
