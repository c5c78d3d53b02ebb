// Lets Node 20 run TypeScript as it stands: `node --import ./test/simulation/ts-loader.mjs program.ts`.
// Types are stripped by the transformer that vitest brings along; nothing is checked and nothing is written.
import { readFileSync } from 'node:fs'
import { register } from 'node:module'
import { fileURLToPath } from 'node:url'
import { isMainThread } from 'node:worker_threads'

if (isMainThread) register(import.meta.url)

export async function load(url, context, next) {
  if (!url.endsWith('.ts') || !url.startsWith('file:')) return next(url, context)
  const { transformSync } = await import('rolldown/utils')
  const path = fileURLToPath(url)
  const { code, errors } = transformSync(path, readFileSync(path, 'utf8'), { lang: 'ts' })
  if (errors.length > 0) throw new Error(`${path}: ${errors[0].message}`)
  return { format: 'module', source: code, shortCircuit: true }
}
