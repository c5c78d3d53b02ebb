import { endOfString } from './bounds.ts'

/** A member of an object as it is written. */
export interface RawMember {
  readonly key: string
  /** Without the blanks around it. */
  readonly value: string
}

/** The members of an object that begins at `start` of a text that is JSON; each as often as it stands. */
export function rawMembers(text: string, start: number): RawMember[] {
  const members: RawMember[] = []
  let at = skipBlanks(text, start + 1)
  while (text[at] === '"') {
    const keyEnd = endOfString(text, at) + 1
    const key = JSON.parse(text.slice(at, keyEnd)) as string
    const valueStart = skipBlanks(text, skipBlanks(text, keyEnd) + 1)
    const valueEnd = endOfValue(text, valueStart)
    members.push({ key, value: text.slice(valueStart, valueEnd) })
    at = skipBlanks(text, valueEnd)
    if (text[at] === ',') at = skipBlanks(text, at + 1)
  }
  return members
}

/** The items of a list that begins at `start`, likewise. */
export function rawItems(text: string, start: number): string[] {
  const items: string[] = []
  let at = skipBlanks(text, start + 1)
  while (at < text.length && text[at] !== ']') {
    const end = endOfValue(text, at)
    items.push(text.slice(at, end))
    at = skipBlanks(text, end)
    if (text[at] === ',') at = skipBlanks(text, at + 1)
  }
  return items
}

export function skipBlanks(text: string, start: number): number {
  let at = start
  for (;;) {
    const code = text.charCodeAt(at)
    if (code !== 32 && code !== 10 && code !== 13 && code !== 9) return at
    at++
  }
}

const ENDS = ' \t\r\n,]}'

function endOfValue(text: string, start: number): number {
  if (text[start] === '"') return endOfString(text, start) + 1
  let at = start
  if (text[start] !== '{' && text[start] !== '[') {
    while (at < text.length && !ENDS.includes(text[at] as string)) at++
    return at
  }
  for (let depth = 0; at < text.length; at++) {
    const character = text[at]
    if (character === '"') at = endOfString(text, at)
    else if (character === '{' || character === '[') depth++
    else if ((character === '}' || character === ']') && --depth === 0) return at + 1
  }
  return at
}
