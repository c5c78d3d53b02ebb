import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { errorCodes } from '../../src/error-codes.ts'
import { commandLinePage } from './command-line-page.ts'
import { errorsPage } from './errors-page.ts'
import { exposedMetrics, GROUPS, labelNames, LABELS, metricsPage } from './metrics-page.ts'
import { withoutComments } from './source-text.ts'

const ROOT = join(import.meta.dirname, '..', '..')

/** Code without comments, by path under `src/`. */
function sources(): Map<string, string> {
  const files = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
  return new Map(
    files
      .filter((file) => file.endsWith('.ts'))
      .map((file) => [file, withoutComments(readFileSync(join(ROOT, 'src', file), 'utf8'))]),
  )
}

/** All matches in all of the code but these files. */
function found(pattern: RegExp, ...except: readonly string[]): Set<string> {
  const texts = [...sources()].filter(([file]) => !except.includes(file)).map(([, text]) => text)
  return new Set(texts.flatMap((text) => [...text.matchAll(pattern)].map(([match]) => match)))
}

// `npm run docs:pages` writes the pages that are compared here.
describe('generated pages are current', () => {
  it('docs/errors.md', async () => {
    await expect(errorsPage()).toMatchFileSnapshot(join(ROOT, 'docs', 'errors.md'))
  })
  it('docs/metrics.md', async () => {
    await expect(await metricsPage()).toMatchFileSnapshot(join(ROOT, 'docs', 'metrics.md'))
  })
  it('docs/command-line.md', async () => {
    await expect(await commandLinePage()).toMatchFileSnapshot(join(ROOT, 'docs', 'command-line.md'))
  })
})

describe('errors', () => {
  it('every code in the code is in the table, and every code of the table is in the code', () => {
    const used = found(/\bSB_[A-Z_]*[A-Z]\b/gu, 'error-codes.ts')
    expect([...used].sort()).toEqual(Object.keys(errorCodes).sort())
  })

  it('every error is made with a hint, or hands one on', () => {
    const without: string[] = []
    for (const [file, text] of sources()) {
      for (const call of callsOf('new SwitchbackError', text)) {
        // An interrupted command needs no advice; a deadline is made on the hot path, and never thrown
        // at callers.
        if (/'SB_(?:INTERRUPTED|DEADLINE)'/u.test(call)) continue
        if (!/\bhint\b|\.\.\.|\boptions\b/u.test(call)) without.push(`${file}: ${call}`)
      }
    }
    expect(without).toEqual([])
  })
})

describe('metrics', () => {
  it('the page has exactly the metrics that are exposed, and explains every label', async () => {
    const exposed = await exposedMetrics()
    expect(Object.values(GROUPS).flat().sort()).toEqual([...exposed.keys()].sort())
    const labels = new Set([...exposed.values()].flatMap(labelNames))
    expect(Object.keys(LABELS).sort()).toEqual([...labels].sort())
  })

  it('what the code names as a metric is exposed', async () => {
    const exposed = await exposedMetrics()
    const named = found(/(?<=')switchback_[a-z_]*[a-z](?=')/gu)
    const bare = [...named].map((name) => name.replace(/_(?:bucket|sum|count)$/u, ''))
    expect(bare.filter((name) => !exposed.has(name))).toEqual([])
  })
})

/** The text of every call of a function, from its name to its closing bracket. */
function* callsOf(name: string, text: string): Generator<string> {
  for (let at = text.indexOf(`${name}(`); at !== -1; at = text.indexOf(`${name}(`, at + 1)) {
    let depth = 0
    for (let end = at + name.length; end < text.length; end++) {
      if (text[end] === '(') depth++
      if (text[end] === ')' && --depth === 0) {
        yield text.slice(at, end + 1)
        break
      }
    }
  }
}
