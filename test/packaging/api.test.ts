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

it('every type that a published declaration mentions is exported', () => {
  expect(hidden).toEqual([])
})
