import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'

const ROOT = join(import.meta.dirname, '..', '..')
const { publicApi } = (await import(join(ROOT, 'scripts', 'api.mjs'))) as {
  publicApi(): { readonly text: string; readonly hidden: readonly string[] }
}
const { text, hidden } = publicApi()

// A difference is a change of the public API: `npm run docs:api` writes it down, for the review.
it('docs/api.md is what the entries export', async () => {
  await expect(text).toMatchFileSnapshot(join(ROOT, 'docs', 'api.md'))
})

it('its declarations import no package but the one peer that everybody has', () => {
  const types = join(ROOT, 'dist', 'types')
  const files = readdirSync(types, { recursive: true, encoding: 'utf8' })
  const texts = files
    .filter((file) => file.endsWith('.ts'))
    .map((file) => readFileSync(join(types, file), 'utf8'))
  const packages = texts.flatMap((text) =>
    [...text.matchAll(/(?:from |import\()'([^.'][^']*)'/gu)].map(([, name]) => name),
  )
  expect([...new Set(packages)]).toEqual(['@openfeature/server-sdk'])
})

it('every type that a published declaration mentions is exported', () => {
  expect(hidden).toEqual([])
})
