import type { DiffLine, PreviewAnswer } from '../../state/state.ts'
import { myName, rememberName } from '../api.ts'
import { byId, h } from '../dom.ts'
import { percent } from '../format.ts'

/** Shows the diff and asks; `undefined` when the person cancels. */
export function confirmChange(
  preview: PreviewAnswer,
): Promise<{ readonly reason: string } | undefined> {
  const dialog = byId('confirm') as HTMLDialogElement
  const name = h('input', {
    type: 'text',
    name: 'who',
    maxlength: '64',
    autocomplete: 'name',
    placeholder: 'as this server was started',
  })
  const reason = h('input', { type: 'text', name: 'reason', maxlength: '200', autocomplete: 'off' })
  name.value = myName()
  const move = `${percent(preview.from)} to ${percent(preview.to)}`
  const agree = h(
    'button',
    { class: 'primary', type: 'submit', id: 'agree' },
    `Set ${percent(preview.to)}`,
  )
  return new Promise((resolve) => {
    const form = h(
      'form',
      {
        method: 'dialog',
        onsubmit: (event) => {
          event.preventDefault()
          rememberName(name.value)
          dialog.close('agreed')
        },
      },
      h('h2', { id: 'confirm-title' }, `Change the share from ${move}?`),
      h('p', {}, `${preview.sentence}.`),
      diffView(preview.diff),
      h(
        'div',
        { class: 'fields' },
        h('label', {}, 'Your name, for the audit log', name),
        h('label', {}, 'Why (optional)', reason),
      ),
      h(
        'div',
        { class: 'actions' },
        agree,
        h('button', { class: 'plain', type: 'button', onclick: () => dialog.close('') }, 'Cancel'),
      ),
    )
    dialog.replaceChildren(form)
    dialog.returnValue = ''
    dialog.addEventListener(
      'close',
      () => {
        const agreed = dialog.returnValue === 'agreed'
        dialog.replaceChildren()
        resolve(agreed ? { reason: reason.value.trim() } : undefined)
      },
      { once: true },
    )
    dialog.showModal()
    agree.focus()
  })
}

/** The lines that would change, as `git diff` marks them. */
function diffView(diff: readonly DiffLine[]): HTMLElement {
  const lines = diff.map(({ kind, line }) =>
    h(
      'div',
      { class: kind === 'removed' ? 'del' : 'add' },
      `${kind === 'removed' ? '-' : '+'} ${line}`,
    ),
  )
  return h(
    'div',
    { class: 'diff', tabindex: '0', role: 'group', 'aria-label': 'What changes in the file' },
    ...lines,
  )
}
