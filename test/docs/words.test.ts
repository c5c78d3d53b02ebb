import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { tokensOf } from './source-text.ts'

// Messages are read at night, by many in their second language: these words were taken out of them.
const ROOT = join(import.meta.dirname, '..', '..')

/** Each with what to write instead. */
const INSTEAD: readonly (readonly [RegExp, string])[] = [
  [/(?<!\bthere )\bis no (?!longer)/iu, 'is not a ..., is not valid, expected ..., got ...'],
  [/\bis none of\b/iu, 'is not one of'],
  [/\bnone of yours\b/iu, 'name whose it is'],
  [/\banew\b/iu, 'again; reset; restart'],
  [/\bmend(?:s|ed)?\b/iu, 'fix; recover'],
  [/\bwhoever\b/iu, 'users who; processes that'],
  [/\btold\b/iu, 'reported; warned'],
  [/(?<![-\w])ow(?:ed|es)\b/iu, 'pending'],
  [/\bbeneath\b/iu, 'dependencies'],
  [/\btakes? (?:everybody|everyone) back\b/iu, 'rolls back; routes everyone to the old side'],
  [/\b(?:gets?|gives?|are|is) (?:"?on"?|"?off"?)(?=[.,;:]|$)/iu, 'is routed to the new (old) side'],
  [/\bgo(?:es)? on (?:serving|by itself|with)\b/iu, 'keeps serving; recovers; continues'],
  [/\bper cent\b/iu, 'percent'],
  [/\b(?:as|see) (?:above|said)\b|\bas said above\b/iu, 'say it, or point to a page'],
]

function files(directory: string, ending: string): string[] {
  return readdirSync(join(ROOT, directory), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith(ending))
    .map((file) => join(directory, file))
}

function complaints(where: string, text: string): string[] {
  return INSTEAD.flatMap(([pattern, instead]) => {
    const found = pattern.exec(text)
    return found === null ? [] : [`${where}: "${found[0].trim()}" in ${text.trim()} -> ${instead}`]
  })
}

const NOT_FOR_PEOPLE =
  /\b(?:SELECT|INSERT INTO|UPDATE|DELETE FROM|CREATE TABLE)\b|\{ --?[a-z]+:|^`\n:root/u

/** A text for people has words; names, tags and scripts in it do not count. */
function prose(text: string): string {
  if (NOT_FOR_PEOPLE.test(text)) return ''
  return text
    .replaceAll(/<[a-z/!][^>]*>/gu, ' ')
    .replaceAll(/\$\{(?:[^{}]|\{[^{}]*\})*\}/gu, 'X')
    .replaceAll(/`[^`]*`/gu, (code, at: number) => (at === 0 ? code : 'X'))
}

it('no message, help text or text of the page uses a word that was taken out', () => {
  const found = files('src', '.ts').flatMap((file) =>
    tokensOf(readFileSync(join(ROOT, file), 'utf8'))
      .filter(({ kind, text }) => kind === 'text' && /[a-z]{2,} \S/u.test(text))
      .flatMap(({ text, line }) => complaints(`${file}:${line}`, prose(text))),
  )
  expect(found).toEqual([])
})

it('no page uses a word that was taken out', () => {
  const pages = [
    ...files('docs', '.md').filter((page) => !/^docs\/(?:adr|errors)/u.test(page)),
    'CONTRIBUTING.md',
    'SECURITY.md',
    'CODE_OF_CONDUCT.md',
    'deploy/kubernetes/README.md',
  ]
  const found = pages.flatMap((page) => {
    const text = readFileSync(join(ROOT, page), 'utf8').replaceAll(/^```[\s\S]*?^```$/gmu, (code) =>
      '\n'.repeat(code.split('\n').length - 1),
    )
    return text
      .split('\n')
      .flatMap((line, index) =>
        complaints(`${page}:${index + 1}`, line.replaceAll(/`[^`]*`/gu, 'X')),
      )
  })
  expect(found).toEqual([])
})

it('no comment refers to another place by "as said" or "see above"', () => {
  const found = files('src', '.ts').flatMap((file) =>
    tokensOf(readFileSync(join(ROOT, file), 'utf8'))
      .filter(
        ({ kind, text }) => kind === 'comment' && /\b(?:as|see) (?:above|said)\b/iu.test(text),
      )
      .map(({ line }) => `${file}:${line}`),
  )
  expect(found).toEqual([])
})

/** Longer ones are pages: a proof or a layout belongs into docs/adr. */
const MOST_LINES = 6

it(`no comment is longer than ${MOST_LINES} lines`, () => {
  const own = [...files('src', '.ts'), ...files('scripts', '.mjs'), ...files('bench', '.ts')]
  const sources = own.filter((file) => !file.includes('node_modules'))
  const found = sources.flatMap((file) =>
    commentsOf(readFileSync(join(ROOT, file), 'utf8'))
      .filter(({ lines }) => lines > MOST_LINES)
      .map(({ line, lines }) => `${file}:${line} has ${lines} lines`),
  )
  expect(found).toEqual([])
})

it('counts the prose of a comment: a run of lines is one, tags and examples do not count', () => {
  const seven = '// a\n'.repeat(7)
  expect(commentsOf(seven)).toEqual([{ line: 1, lines: 7 }])
  expect(commentsOf("/**\n * a\n *\n * b\n * @param x c\n */\nconst s = '// no'")).toEqual([
    { line: 1, lines: 2 },
  ])
  expect(commentsOf('/**\n * a\n * ```ts\n * b\n * ```\n */')).toEqual([{ line: 1, lines: 1 }])
})

function commentsOf(source: string): { line: number; lines: number }[] {
  const found: { line: number; lines: number; end: number }[] = []
  for (const { kind, text, line } of tokensOf(source)) {
    if (kind !== 'comment') continue
    // What stands behind code explains its line.
    if (text.startsWith('//') && !source.split('\n')[line - 1]!.trimStart().startsWith('//'))
      continue
    const before = found.at(-1)
    if (text.startsWith('//') && before !== undefined && before.end === line - 1) {
      before.end = line
      before.lines++
    } else if (text.startsWith('//')) found.push({ line, lines: 1, end: line })
    else found.push({ line, lines: proseLines(text), end: -1 })
  }
  return found.map(({ line, lines }) => ({ line, lines }))
}

/** Lines with words, before the first tag and outside of examples. */
function proseLines(comment: string): number {
  const lines = comment
    .replaceAll(/^\/\*+|\*\/$/gu, '')
    .split('\n')
    .map((line) => line.replace(/^\s*\* ?/u, '').trim())
  const tag = lines.findIndex((line) => line.startsWith('@'))
  const words = (tag === -1 ? lines : lines.slice(0, tag)).join('\n')
  return words
    .replaceAll(/```[\s\S]*?```/gu, '')
    .split('\n')
    .filter((line) => line !== '').length
}
