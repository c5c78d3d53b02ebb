import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { VENDORS } from './all.ts'
import type { Facts, Vendor } from './vendor.ts'

// docs/vendors.md says what the contract suite has seen, and shows the code that it ran.
const page = readFileSync(new URL('../../docs/vendors.md', import.meta.url), 'utf8')

function code(answer: string): string {
  return `\`${answer}\``
}

function row({ name, facts }: Vendor): string {
  const { announces, targeting, on, nobody, missing, text } = facts satisfies Facts
  const cells = [
    name,
    targeting === 'split' ? 'by user and share' : 'one answer for all',
    announces ? 'announced' : 'asked again',
    code(on),
    code(nobody),
    code(missing),
    code(text),
  ]
  return `| ${cells.join(' | ')} |`
}

function setUps(file: string): string[] {
  const source = readFileSync(new URL(file, import.meta.url), 'utf8')
  return [...source.matchAll(/^\/\/ set-up\n(.*?)^\/\/ end$/gms)].map(([, text]) => text as string)
}

describe('docs/vendors.md', () => {
  it.each(VENDORS)('tells how $name answers', (vendor) => {
    expect(page).toContain(row(vendor))
  })

  it.each([
    ['flagd-vendors.ts', 1],
    ['local-vendors.ts', 2],
    ['launchdarkly.ts', 1],
    ['growthbook.ts', 1],
    ['flagsmith.ts', 1],
    ['multi.ts', 1],
  ])('shows the set-up of %s as it was tested', (file, count) => {
    const found = setUps(file)
    expect(found).toHaveLength(count)
    for (const text of found) {
      expect(page).toContain(text)
      expect(text.trimEnd().split('\n').length).toBeLessThanOrEqual(12)
    }
  })
})
