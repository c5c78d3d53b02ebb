import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, it } from 'vitest'

const ROOT = join(import.meta.dirname, '..', '..')
const SKIPPED = new Set(['node_modules', '.git', 'dist', '.cache', 'coverage'])

function pages(directory = ''): string[] {
  return readdirSync(join(ROOT, directory), { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name)
    if (entry.isDirectory()) return SKIPPED.has(entry.name) ? [] : pages(path)
    return entry.name.endsWith('.md') ? [path] : []
  })
}

function read(page: string): string {
  return readFileSync(join(ROOT, page), 'utf8')
}

/** Without code, where brackets are no links. */
function prose(text: string): string {
  return text.replaceAll(/^( *)(```+)[\s\S]*?^\1\2$/gmu, '').replaceAll(/`[^`\n]*`/gu, 'code')
}

function linksOf(text: string): string[] {
  return [
    ...prose(text).matchAll(/\]\(([^)\s]+)\)/gu),
    ...prose(text).matchAll(/<img [^>]*src="([^"]+)"/gu),
  ].map(([, link]) => link!)
}

/** The anchors that GitHub makes of the headings, and those that stand in the text. */
function anchors(text: string): Set<string> {
  const found = new Set<string>()
  for (const [, heading = ''] of text.matchAll(/^#{1,6} (.+)$/gmu)) {
    const bare = heading.replaceAll(/\[([^\]]*)\]\([^)]*\)/gu, '$1').toLowerCase()
    const slug = bare.replaceAll(/[^\p{L}\p{N} _-]/gu, '').replaceAll(' ', '-')
    let name = slug
    for (let again = 1; found.has(name); again++) name = `${slug}-${again}`
    found.add(name)
  }
  for (const [, id = ''] of text.matchAll(/<a id="([^"]+)">/gu)) found.add(id)
  return found
}

it.each(pages())('%s links to what there is', (page) => {
  const text = read(page)
  const broken = linksOf(text).filter((link) => {
    if (/^[a-z]+:/u.test(link)) return false
    const [path = '', anchor] = link.split('#')
    const target = path === '' ? page : join(dirname(page), path)
    if (!existsSync(join(ROOT, target))) return true
    return anchor !== undefined && target.endsWith('.md') && !anchors(read(target)).has(anchor)
  })
  expect(broken).toEqual([])
})

const REPOSITORY =
  /^https:\/\/github\.com\/openfeature-switchback\/switchback\/(?:blob|raw|tree)\/main\//u

/** Whether the package has it: by `files` of package.json, as npm reads them. */
function isPacked(path: string): boolean {
  const { files } = JSON.parse(read('package.json')) as { readonly files: readonly string[] }
  const matches = (glob: string): boolean =>
    glob === path.replace(/[^/]+(?=\.md$)/u, '*') ||
    `${path}/`.startsWith(`${glob}/`) ||
    glob.startsWith(`${path}/`)
  return files.some(matches) && !files.includes(`!${path}`)
}

it.each(pages().filter(isPacked))('%s links in the package to what is packed', (page) => {
  const links = linksOf(read(page)).filter((link) => !/^[a-z]+:|^#/u.test(link))
  const targets = links.map((link) => join(dirname(page), link.split('#')[0]!))
  expect(targets.filter((target) => !isPacked(target))).toEqual([])
})

it.each(pages())('%s links in the repository to what there is', (page) => {
  const links = linksOf(read(page)).filter((link) => REPOSITORY.test(link))
  const paths = links.map((link) => link.replace(REPOSITORY, '').split('#')[0]!)
  expect(paths.filter((path) => !existsSync(join(ROOT, path)))).toEqual([])
})

it('finds a link that leads nowhere', () => {
  expect(anchors('# One `two`\n\n## One two\n<a id="SB_X"></a>')).toEqual(
    new Set(['one-two', 'one-two-1', 'SB_X']),
  )
})

it('docs/architecture.md names the rooms that there are, and what each may import', () => {
  const checker = readFileSync(join(ROOT, 'scripts', 'check-imports.mjs'), 'utf8')
  const [, table = ''] = /const ROOMS = \{([\s\S]*?)\n\}/u.exec(checker) ?? []
  const allowed = new Map(
    [...table.matchAll(/^ {2}(\w+): (?:\[(.*)\]|'all'),$/gmu)].map(([, room, list]) => [
      room!,
      list === undefined ? 'all' : list.replaceAll("'", '') || '–',
    ]),
  )
  const rows = [...read('docs/architecture.md').matchAll(/^\| `(\w+)` \| .* \| ([^|]+) \|$/gmu)]
  const told = new Map(rows.map(([, room, list]) => [room!, list!.replaceAll('`', '')]))
  expect(told).toEqual(allowed)
  const folders = readdirSync(join(ROOT, 'src'), { withFileTypes: true })
  expect([...told.keys()].sort()).toEqual(
    folders
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name)
      .sort(),
  )
})
