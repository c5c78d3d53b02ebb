import { type GuardReading, isStopped } from '../../guard-view.ts'
import { approve, orderGuard } from '../api.ts'
import { byId, h, setText } from '../dom.ts'
import { clock } from '../../../clock.ts'

/** What a person may tell the guard: the step that waits for an approval, a pause, the next step now. */
export function guardOrders(): { element: HTMLElement; update(guard: GuardReading | null): void } {
  const agree = h('button', { class: 'primary', type: 'button', id: 'approve' })
  const pause = h('button', { class: 'plain', type: 'button', id: 'pause' })
  const promote = h('button', { class: 'plain', type: 'button', id: 'promote' })
  const resume = h('button', { class: 'plain', type: 'button', id: 'resume' }, 'Resume')
  const outcome = h('span', { class: 'soft', role: 'status' })
  const element = h('p', { class: 'actions', hidden: true }, agree, pause, promote, resume, outcome)
  let known: GuardReading | null = null
  let asked = ''

  const told = async (action: () => Promise<unknown>, done: string): Promise<void> => {
    try {
      await action()
      setText(outcome, done)
    } catch (error) {
      setText(outcome, error instanceof Error ? error.message : String(error))
    }
  }
  agree.addEventListener('click', () => {
    const step = known?.awaiting
    if (step === undefined) return
    const done = 'Approved: the guard takes the step if the evidence still allows it.'
    void told(() => approve(step), done)
  })
  pause.addEventListener('click', () => {
    const kind = known?.paused === undefined ? 'pause' : 'unpause'
    const done = kind === 'pause' ? 'It pauses at its next look.' : 'It goes on at its next look.'
    void told(() => orderGuard({ kind }), done)
  })
  promote.addEventListener('click', () => void askPromotion())

  resume.addEventListener('click', () => void askResume())
  async function askResume(): Promise<void> {
    if (known === null || !(await confirmOrder(resumeQuestion(known)))) return
    await told(() => orderGuard({ kind: 'resume' }), 'It begins again at its next look.')
  }

  async function askPromotion(): Promise<void> {
    const to = known?.next
    if (known === null || to === undefined || !(await confirmOrder(promotionQuestion(known, to))))
      return
    await told(() => orderGuard({ kind: 'promote', to }), `It moves to ${to} % at its next look.`)
  }

  return {
    element,
    update(guard) {
      known = guard
      const state = JSON.stringify([guard?.mode, guard?.awaiting, guard?.paused, guard?.next])
      if (state !== asked) setText(outcome, '')
      asked = state
      const acting = guard?.mode === 'acting'
      agree.hidden = guard?.awaiting === undefined
      pause.hidden = !acting
      promote.hidden = !acting || guard.next === undefined || (guard.holding ?? '') !== ''
      resume.hidden = guard === null || !isStopped(guard)
      element.hidden = agree.hidden && pause.hidden && promote.hidden && resume.hidden
      setText(agree, `Approve ${guard?.awaiting ?? ''} %`)
      setText(pause, guard?.paused === undefined ? 'Pause' : 'Go on')
      pause.title =
        guard?.paused === undefined
          ? 'It takes no step until it may go on; it still rolls back'
          : `Paused by ${guard.paused.who} since ${clock(guard.paused.since)} UTC`
      setText(promote, `Go to ${guard?.next ?? ''} % now`)
    },
  }
}

interface Question {
  readonly title: string
  readonly lines: readonly string[]
  readonly agree: string
}

function promotionQuestion({ sentence }: GuardReading, to: number): Question {
  return {
    title: `Go to ${to} % without waiting for proof?`,
    lines: [
      `The guard says: ${sentence}.`,
      'It still rolls back when the new side proves to be worse.',
    ],
    agree: `Go to ${to} % now`,
  }
}

function resumeQuestion({ sentence, plan, mode }: GuardReading): Question {
  const where =
    mode === 'stopped'
      ? `It begins with the first step of the plan, ${plan?.steps[0] ?? ''} %, and the evidence begins at nothing.`
      : 'It takes over at the present share, and the evidence begins at nothing.'
  return {
    title: 'Let the guard act again?',
    lines: [
      `The guard says: ${sentence}.`,
      `${where} While the new side cannot be reached it does not begin.`,
    ],
    agree: 'Resume',
  }
}

/** What a person takes the risk of is asked for once more. */
function confirmOrder({ title, lines, agree: text }: Question): Promise<boolean> {
  const dialog = byId('confirm') as HTMLDialogElement
  return new Promise((resolve) => {
    const agree = h('button', { class: 'primary', type: 'submit', id: 'agree' }, text)
    const cancel = h('button', { class: 'plain', type: 'button' }, 'Cancel')
    cancel.addEventListener('click', () => dialog.close(''))
    const form = h(
      'form',
      { method: 'dialog' },
      h('h2', { id: 'confirm-title' }, title),
      ...lines.map((line) => h('p', {}, line)),
      h('div', { class: 'actions' }, agree, cancel),
    )
    form.addEventListener('submit', (event) => {
      event.preventDefault()
      dialog.close('agreed')
    })
    dialog.replaceChildren(form)
    dialog.returnValue = ''
    const closed = (): void => {
      dialog.replaceChildren()
      resolve(dialog.returnValue === 'agreed')
    }
    dialog.addEventListener('close', closed, { once: true })
    dialog.showModal()
    agree.focus()
  })
}
