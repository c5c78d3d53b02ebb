/// <reference lib="dom" />
/// <reference lib="dom.iterable" />

type Child = Node | string

interface Attributes {
  readonly [name: string]: string | boolean | ((event: Event) => void)
}

/** An element: attributes, `on...` handlers, children. */
export function h<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  attributes: Attributes = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[Name] {
  const element = document.createElement(name)
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === 'function') element.addEventListener(key.slice(2), value)
    else if (value === true) element.setAttribute(key, '')
    else if (value !== false) element.setAttribute(key, value)
  }
  element.append(...children)
  return element
}

/** The element of the skeleton with this id. */
export function byId(id: string): HTMLElement {
  const element = document.getElementById(id)
  if (element === null) throw new Error(`the page has no #${id}`)
  return element
}

/** Writes only what changed, so that screen readers are not told the same again every second. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text
}

export function setAttribute(element: Element, name: string, value: string): void {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value)
}

/** Runs `make` and puts what it makes into the element, when `key` is another than last time. */
export function whenChanged(element: Element, key: string, make: () => readonly Child[]): void {
  if (keys.get(element) === key) return
  keys.set(element, key)
  element.replaceChildren(...make())
}

const keys = new WeakMap<Element, string>()
