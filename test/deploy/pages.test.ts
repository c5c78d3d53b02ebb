import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { parse } from 'yaml'
import { describe, expect, it } from 'vitest'

// What the pages for production name must exist: commands, metrics, alerts, error codes, variables.
const ROOT = new URL('../../', import.meta.url)
const read = (path: string): string => readFileSync(new URL(path, ROOT), 'utf8')
const source = readdirSync(new URL('src/', ROOT), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => read(`src/${name}`))
  .join('\n')

const PAGES = [
  'docs/operate.md',
  'docs/roll-out.md',
  'docs/integrate.md',
  'docs/upgrade.md',
  'docs/vendors.md',
  'deploy/kubernetes/README.md',
] as const

function all(text: string, pattern: RegExp): string[] {
  return [...new Set([...text.matchAll(pattern)].map(([, found]) => found as string))]
}

describe.each(PAGES)('%s', (page) => {
  const text = read(page)

  it('links to what there is', () => {
    const links = all(text, /\]\(([^)#]+)(?:#[^)]*)?\)/g).filter((link) => !link.includes('://'))
    expect(links.length).toBeGreaterThan(0)
    const here = new URL(page, ROOT)
    expect(links.filter((link) => !existsSync(new URL(link, here)))).toEqual([])
  })

  it('names commands, metrics and error codes that there are', () => {
    const commands = all(text, /(?:^|`|&& )switchback ([a-z]+)/gm)
    const files = readdirSync(new URL('src/cli/commands/', ROOT), {
      recursive: true,
      encoding: 'utf8',
    })
    const known = new Set(files.map((file) => basename(file)))
    expect(commands.length > 0 && commands.filter((name) => !known.has(`${name}.ts`))).toEqual([])
    const names = [...all(text, /\b(switchback_[a-z_]+)/g), ...all(text, /\b(SB_[A-Z_]+)/g)]
    expect(names.filter((name) => !source.includes(name))).toEqual([])
  })
})

describe('docs/operate.md', () => {
  const text = read('docs/operate.md')

  it('has an answer to every alert, and to none that there is not', () => {
    const rules = parse(read('deploy/prometheus/alerts.yml')) as {
      groups: { rules: { alert?: string }[] }[]
    }
    const alerts = rules.groups.flatMap((group) => group.rules.flatMap(({ alert }) => alert ?? []))
    const named = all(text, /\b(Switchback[A-Z][A-Za-z]+)/g)
    expect(named.filter((name) => !alerts.includes(name))).toEqual([])
    expect(alerts.filter((name) => !named.includes(name))).toEqual([])
  })

  it('names options by their names and their defaults', () => {
    for (const option of ['deadlineMs', 'rememberMs', 'tombstoneTtl', 'startMs', 'standby']) {
      expect(source).toMatch(new RegExp(`readonly ${option}\\??:`))
    }
    expect(source).toMatch(/@default 64 \*\/\n\s+readonly originConcurrency/)
    expect(source).toMatch(/@default 100 \*\/\n\s+readonly deadlineMs/)
    expect(source).toMatch(/@default 50 \*\/\n\s+readonly deadlineMs/)
  })
})
