/** A comment, a string, or a template of TypeScript; regular expressions are good enough for our own code. */
const TOKEN =
  /\/\*[\s\S]*?\*\/|\/\/[^\n]*|'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\[\s\S])*`|(?<=[(,=:?&|!]\s*|\breturn\s)\/(?![/*])(?:[^/\\\n[]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*/gu

export interface SourceToken {
  readonly kind: 'comment' | 'text'
  readonly text: string
  /** Of its first character, from 1. */
  readonly line: number
}

/** The comments and the texts of a source file, in their order. */
export function tokensOf(source: string): SourceToken[] {
  const tokens: SourceToken[] = []
  let line = 1
  let last = 0
  for (const match of source.matchAll(TOKEN)) {
    const [text] = match
    line += source.slice(last, match.index).split('\n').length - 1
    last = match.index
    const kind = /^\/[/*]/u.test(text) ? 'comment' : 'text'
    if (kind === 'comment' || !text.startsWith('/')) tokens.push({ kind, text, line })
  }
  return tokens
}

/** The source with its comments taken out. */
export function withoutComments(source: string): string {
  return source.replaceAll(TOKEN, (text) => (/^\/[/*]/u.test(text) ? '' : text))
}
