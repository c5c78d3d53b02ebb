import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it, vi } from 'vitest'
import { stringify } from 'yaml'
import { parsePlan } from '../../src/guard/index.ts'
import { PlanReader } from '../../src/guard/plan/reader.ts'
import { withoutComments } from './source-text.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const PAGE = readFileSync(join(ROOT, 'docs', 'configuration.md'), 'utf8')

/** The rows of the tables under a heading, as cells without their backticks. */
function rows(heading: string): string[][] {
  const [, after = ''] = PAGE.split(new RegExp(`^#+ ${heading}$`, 'mu'))
  const [section = ''] = after.split(/^## /mu)
  return section
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) => line.slice(2, -2).split(' | '))
}

function names(cell: string): string[] {
  return [...cell.matchAll(/`([^`]+)`/gu)].map(([, name]) => name!)
}

function source(file: string): string {
  return withoutComments(readFileSync(join(ROOT, 'src', file), 'utf8'))
}

/** `{ a: { b: 1 } }` of `a.b` and 1. */
function nested(path: string, value: unknown): object {
  return path.split('.').reduceRight<unknown>((inner, key) => ({ [key]: inner }), value) as object
}

it('the plan: the page has every key that is read, and no other', () => {
  const read = new Set<string>()
  const only = vi
    .spyOn(PlanReader.prototype, 'only')
    .mockImplementation((...known: readonly string[]) => {
      for (const key of known) read.add(key)
    })
  parsePlan('switch: search')
  parsePlan(
    stringify({
      custom: [{ id: 'a', bad: 'a', total: 'b' }],
      limits: [{ value: 'a', above: 1 }],
      prometheus: { url: 'http://a' },
    }),
  )
  only.mockRestore()
  const told = rows("The guard's plan").flatMap(([key = '']) => names(key))
  const metrics = /^\| key \| `(.+)` \| meaning \|$/mu.exec(PAGE)![1]!.split('` | `')
  const segments = told.flatMap((path) => path.split('.'))
  const all = new Set([...segments, ...metrics, 'metrics', 'custom', 'limits'])
  expect([...all].sort()).toEqual([...read].sort())
})

it('the plan: the defaults of the page are those of the code', () => {
  const plain = JSON.stringify(parsePlan('{}'))
  const plan = rows("The guard's plan").filter((row) => row.length === 3)
  let compared = 0
  for (const [key = '', value = ''] of plan) {
    const [path = '', ...more] = names(key)
    const [text] = names(value)
    // Of an entry of a list, such as a limit, there is no default plan to compare with.
    if (text === undefined || more.length > 0 || !KEYS_OF_A_PLAN.test(path)) continue
    const plan = parsePlan(stringify(nested(path, parsed(text))))
    expect(JSON.stringify(plan), path).toBe(plain)
    compared++
  }
  expect(compared).toBe(16)
  for (const row of rows("The guard's plan").filter(({ length }) => length === 5)) {
    const [path = '', ...values] = row.slice(0, 4).map((cell) => names(cell)[0]!)
    for (const [index, id] of ['failed', 'degraded', 'repeat-misses'].entries()) {
      // Not a key of this metric.
      if (values[index] === undefined) continue
      const text = stringify({ metrics: { [id]: nested(path, parsed(values[index]!)) } })
      expect(JSON.stringify(parsePlan(text)), `${id}.${path}`).toBe(plain)
    }
  }
})

const KEYS_OF_A_PLAN =
  /^(?:steps|hold|settle|users|operations|alpha|evidence|baseline|baselineTime|lost\..*|advance|interval|replicas)$/u

function parsed(text: string): unknown {
  if (text.startsWith('[')) return JSON.parse(text)
  return /^[\d.]+$/u.test(text) ? Number(text) : text
}

it('the history: the page has every field', () => {
  const text = source('rollout/history/history.ts')
  const fields = ['HistoryNote', 'HistoryEntry extends HistoryNote'].flatMap((name) => {
    const [, body = ''] = new RegExp(`interface ${name} \\{([^}]*)\\}`, 'u').exec(text) ?? []
    return [...body.matchAll(/readonly (\w+)\??:/gu)].map(([, field]) => field!)
  })
  const told = rows('The history').flatMap(([cell = '']) => names(cell))
  expect(fields.length).toBeGreaterThan(10)
  expect(told.sort()).toEqual(fields.sort())
})

it('the environment: the page has every variable that is read, and no other', () => {
  const read = new Set<string>()
  for (const file of readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })) {
    if (!file.endsWith('.ts')) continue
    const text = source(file)
    const patterns = [
      /\benv\['([A-Z_]+)'\]/gu,
      /\bgiven\('[a-z-]+', '([A-Z_]+)'\)/gu,
      /(?:Of\(env, |given\()'([A-Z_]+)'/gu,
      /\boverride: '([A-Z_]+)'/gu,
    ]
    for (const pattern of patterns) {
      for (const [, name] of text.matchAll(pattern)) read.add(name!)
    }
  }
  const [, section = ''] = PAGE.split('## Environment variables')
  const told = section
    .split('## Files that')[0]!
    .split('\n')
    .filter((line) => line.startsWith('| `') || line.startsWith('`SUDO'))
    .flatMap((line) => names(line.startsWith('|') ? line.split(' | ')[0]! : line))
  expect(told.sort()).toEqual([...read].sort())
})
