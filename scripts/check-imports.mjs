// Holds the arrows between the rooms of `src/` to the table of the architecture, and the library's
// entry to the data plane. `node scripts/check-imports.mjs [directory]`; exit code 1 when an arrow is
// wrong.
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

/** Room -> the rooms that it may import. `.` is the files of `src/` itself: the public API. */
const ROOMS = {
  cache: [],
  flagfile: [],
  flags: ['flagfile'],
  telemetry: ['flagfile'],
  switch: ['cache', 'flags', 'telemetry'],
  calls: ['flags', 'telemetry', 'switch'],
  adapters: ['cache'],
  scrape: [],
  rollout: ['flagfile', 'scrape'],
  guard: ['rollout', 'scrape'],
  sidecar: ['flagfile'],
  control: ['guard', 'rollout', 'scrape'],
  app: ['switch', 'cache', 'flags', 'telemetry'],
  cli: 'all',
  '.': ['cache', 'flagfile', 'flags', 'telemetry', 'switch', 'calls', 'adapters'],
}

/** What every room may use. */
const KERNEL = new Set([
  'side.ts',
  'clock.ts',
  'closest.ts',
  'errors.ts',
  'error-codes.ts',
  'listeners.ts',
  'options.ts',
  'metrics.ts',
  'reachable.ts',
  'odd-requests.ts',
  'peers.ts',
  'load-package.ts',
  'package-root.ts',
])

/** What `import 'openfeature-switchback'` may load. The other rooms, and the libraries that only they need, may not. */
const DATA_PLANE = new Set([
  'cache',
  'flagfile',
  'flags',
  'telemetry',
  'switch',
  'calls',
  'adapters',
  '.',
])
const CONTROL_PLANE_LIBRARIES = ['fastify', 'pino', 'yaml', 'jsonc-parser', 'ajv', '@grpc/']

/** What belongs to the one place that knows of the process: the command line. */
const OF_THE_PROCESS = 'env|argv|exit|exitCode|on|once|off|stdin|stdout|stderr|cwd|chdir|abort'
const PROCESS = new RegExp(
  String.raw`\bprocess\s*\.\s*(?:${OF_THE_PROCESS})\b` +
    String.raw`|\bimport\s+(?:\w+|\* as \w+|\{[^}]*\b(?:${OF_THE_PROCESS})\b[^}]*\})\s+from\s+'(?:node:)?process'`,
)

/** @returns {{ files: number, problems: string[] }} */
export function checkImports(src) {
  const graph = new Map()
  const problems = []
  for (const file of sources(src)) {
    const text = withoutComments(readFileSync(join(src, file), 'utf8'))
    const imports = importsOf(src, file, text)
    graph.set(file, imports)
    for (const { specifier, target } of imports) {
      const problem = target === undefined ? undefined : wrongArrow(file, target)
      if (problem !== undefined) problems.push(`src/${file}: '${specifier}' ${problem}`)
    }
    const word = roomOf(file) === 'cli' ? null : PROCESS.exec(text)
    if (word !== null) problems.push(`src/${file}: ${word[0]} belongs in src/cli`)
  }
  return { files: graph.size, problems: [...problems, ...loadedByTheLibrary(graph)] }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const src = process.argv[2] ?? fileURLToPath(new URL('../src', import.meta.url))
  const { files, problems } = checkImports(resolve(src))
  for (const problem of problems) console.error(problem)
  if (problems.length === 0) console.log(`${files} files, every import follows the table`)
  process.exitCode = problems.length === 0 ? 0 : 1
}

function sources(src) {
  return readdirSync(src, { recursive: true, encoding: 'utf8' })
    .filter((file) => /\.[cm]?ts$/.test(file))
    .map((file) => file.replaceAll('\\', '/'))
    .sort()
}

function roomOf(file) {
  const slash = file.indexOf('/')
  return slash === -1 ? '.' : file.slice(0, slash)
}

function wrongArrow(file, target) {
  if (target.startsWith('..')) return 'leaves src/'
  if (KERNEL.has(target)) return undefined
  const [from, to] = [roomOf(file), roomOf(target)]
  if (from === to) return undefined
  if (!(from in ROOMS)) return `is imported by a room that the table does not know: ${from}`
  const allowed = ROOMS[from]
  if (to === '.') return 'is the public API: no room may import it'
  if (allowed !== 'all' && !allowed.includes(to)) {
    return `: ${from} may import ${allowed.join(', ') || 'no other room'}`
  }
  // What is published mentions only what is published.
  const doors = [`${to}/index.ts`, `${to}/public.ts`]
  return doors.includes(target) ? undefined : `goes past ${to}/index.ts`
}

function importsOf(src, file, text) {
  const found = []
  const statement = /^[ \t]*(?:import|export)\b([^'"`;]*?\bfrom)?\s*(['"])([^'"\n]+)\2/gm
  const dynamic = /\bimport\s*\(\s*(['"])([^'"\n]+)\1/g
  for (const [, clause = '', , specifier] of text.matchAll(statement)) {
    found.push(importOf(src, file, specifier, /^\s*type\b/.test(clause)))
  }
  for (const [, , specifier] of text.matchAll(dynamic)) {
    found.push({ ...importOf(src, file, specifier, false), lazy: true })
  }
  return found
}

function importOf(src, file, specifier, typeOnly) {
  const target = specifier.startsWith('.')
    ? relative(src, join(src, dirname(file), specifier)).replaceAll('\\', '/')
    : undefined
  return { specifier, target, typeOnly }
}

/** Follows the imports that run when `src/index.ts` is loaded. */
function loadedByTheLibrary(graph) {
  const found = []
  const seen = new Set()
  const open = graph.has('index.ts') ? ['index.ts'] : []
  for (let file = open.pop(); file !== undefined; file = open.pop()) {
    if (seen.has(file)) continue
    seen.add(file)
    for (const { specifier, target, typeOnly, lazy } of graph.get(file) ?? []) {
      if (typeOnly || lazy) continue
      const heavy =
        target === undefined
          ? CONTROL_PLANE_LIBRARIES.some((name) => specifier.startsWith(name))
          : !DATA_PLANE.has(roomOf(target))
      if (heavy) found.push(`src/${file}: loading the library would load '${specifier}'`)
      else if (target !== undefined) open.push(target)
    }
  }
  return found
}

function withoutComments(text) {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '')
}
