import type { DiffLine, PreviewAnswer } from '../../state/state.ts'
import { myName, rememberName } from '../api.ts'
import { byId, h } from '../dom.ts'
import { percentText } from '../page-format.ts'

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
  const move = `${percentText(preview.from)} to ${percentText(preview.to)}`
  const agree = h(
    'button',
    { class: 'primary', type: 'submit', id: 'agree' },
    `Set ${percentText(preview.to)}`,
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

/** Where two lines begin to differ, and a bracket before it: what changes is to be seen first. */
function firstDifference(line: string, other: string): number {
  let at = 0
  while (at < line.length && line[at] === other[at]) at++
  const bracket = Math.max(line.lastIndexOf('[', at - 1), line.lastIndexOf('{', at - 1))
  return Math.max(0, bracket)
}

/** The lines that would change, as `git diff` marks them. */
function diffView(diff: readonly DiffLine[]): HTMLElement {
  const removed = diff.filter(({ kind }) => kind === 'removed')
  const added = diff.filter(({ kind }) => kind === 'added')
  const from = (line: DiffLine): number => {
    const [list, others] = line.kind === 'removed' ? [removed, added] : [added, removed]
    return removed.length === added.length
      ? firstDifference(line.line, others[list.indexOf(line)]?.line ?? '')
      : 0
  }
  const lines = diff.map((entry) => {
    const { kind, line } = entry
    const start = from(entry)
    const shown = start === 0 ? line : `\u2026 ${line.slice(start)}`
    return h(
      'div',
      { class: kind === 'removed' ? 'del' : 'add', title: line },
      `${kind === 'removed' ? '-' : '+'} ${shown}`,
    )
  })
  return h(
    'div',
    { class: 'diff', tabindex: '0', role: 'group', 'aria-label': 'What changes in the file' },
    ...lines,
  )
}
