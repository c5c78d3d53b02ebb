import { byId, h } from './dom.ts'

/** Asks for the token; `undefined` when the person cancels. */
export function askForToken(complaint: string): Promise<string | undefined> {
  const dialog = byId('token') as HTMLDialogElement
  return new Promise((resolve) => {
    const input = h('input', {
      type: 'password',
      name: 'token',
      required: true,
      autocomplete: 'current-password',
      spellcheck: 'false',
    })
    const form = h(
      'form',
      {
        method: 'dialog',
        onsubmit: (event) => {
          event.preventDefault()
          if (input.value !== '') dialog.close(input.value.trim())
        },
      },
      h('h2', { id: 'token-title' }, 'Changes need the token'),
      h(
        'p',
        {},
        'Enter the token that this control page was started with. It is kept for this tab only.',
      ),
      h('p', { class: 'worse', role: 'alert' }, complaint),
      h('div', { class: 'fields' }, h('label', {}, 'Token', input)),
      h(
        'div',
        { class: 'actions' },
        h('button', { class: 'primary', type: 'submit' }, 'Use it'),
        h('button', { class: 'plain', type: 'button', onclick: () => dialog.close('') }, 'Cancel'),
      ),
    )
    dialog.replaceChildren(form)
    dialog.returnValue = ''
    dialog.addEventListener(
      'close',
      () => {
        const { returnValue } = dialog
        dialog.replaceChildren()
        resolve(returnValue === '' ? undefined : returnValue)
      },
      { once: true },
    )
    dialog.showModal()
    input.focus()
  })
}
