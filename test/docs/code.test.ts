import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { parse as parsePlanText } from 'yaml'

// The code of README and of the pages must compile against the library as it is: all blocks in one program.
const ROOT = join(import.meta.dirname, '..', '..')
const PAGES = [
  'README.md',
  ...readdirSync(join(ROOT, 'docs'))
    .filter(isGuide)
    .map((page) => `docs/${page}`),
]

/** Where a page leaves out the import, since the text around it says where a name comes from. */
const IMPORTS: Readonly<Record<string, string>> = {
  '@openfeature/server-sdk':
    'FirstSuccessfulStrategy InMemoryProvider MultiProvider OpenFeature Provider',
  '@openfeature/env-var-provider': 'EnvVarProvider',
  '@openfeature/growthbook-provider': 'GrowthbookProvider',
  '@openfeature/ofrep-provider': 'OFREPProvider',
  '@openfeature/flagsmith-provider': 'FlagsmithOpenFeatureProvider',
  '@growthbook/growthbook': 'FeatureApiResponse',
  '@launchdarkly/node-server-sdk': 'LDOptions',
  '@launchdarkly/openfeature-node-server': 'LaunchDarklyProvider',
  'flagsmith-nodejs': 'Flagsmith',
  '@nestjs/common': 'Global Inject MiddlewareConsumer Module NestModule OnApplicationShutdown',
}

/** What the text around a block has already: a cache, a user, a database. And packages that are not installed. */
const CONTEXT = `
declare module '@nestjs/common' {
  export const Global: any, Inject: any, Module: any
  export interface MiddlewareConsumer {
    apply(handler: (request: any, response: any, next: () => void) => void): { forRoutes(path: string): void }
  }
  export interface NestModule { configure(consumer: MiddlewareConsumer): void }
  export interface OnApplicationShutdown { onApplicationShutdown(): unknown }
}
declare module 'express'
declare module 'cache-manager'
declare module 'unstorage'
declare const cache: import('openfeature-switchback').CacheSwitch
declare const flags: import('openfeature-switchback').FlagsSource
declare const anyProvider: import('@openfeature/server-sdk').Provider
declare const value: string
declare const sdkKey: string
declare const log: { error(fields: object): void }
declare function loadUser(id: string): Promise<string>
type InMemoryFlags = NonNullable<ConstructorParameters<typeof import('@openfeature/server-sdk').InMemoryProvider>[0]>
type FlagsmithOptions = ConstructorParameters<typeof import('flagsmith-nodejs').Flagsmith>[0]
`

function isGuide(page: string): boolean {
  return page.endsWith('.md') && page !== 'api.md'
}

interface Block {
  /** `docs-integrate-16.ts`: the page and the line. */
  readonly file: string
  readonly code: string
}

function blocks(page: string): Block[] {
  const text = readFileSync(join(ROOT, page), 'utf8')
  return [...text.matchAll(/^( *)```(ts|js)\n([\s\S]*?)^\1```$/gmu)].map((found) => {
    const [, indent = '', language = '', code = ''] = found
    const line = text.slice(0, found.index).split('\n').length
    const extension = language === 'ts' ? 'ts' : code.includes('require(') ? 'cjs' : 'mjs'
    const file = `${page.replace('.md', '').replace('/', '-')}-${line}.${extension}`
    return { file, code: code.replaceAll(new RegExp(`^${indent}`, 'gmu'), '') }
  })
}

/** With the imports that it leaves out. */
function complete({ file, code }: Block, own: readonly string[]): string {
  if (file.endsWith('js')) return code
  const needs = (name: string): boolean =>
    new RegExp(`\\b${name}\\b`, 'u').test(code) &&
    !new RegExp(`\\b(?:interface|type|class|const|function) ${name}\\b`, 'u').test(code) &&
    !new RegExp(`\\bimport\\b[^']*\\b${name}\\b`, 'u').test(code)
  const lists = Object.entries({ ...IMPORTS, 'openfeature-switchback': own.join(' ') })
  const lines = lists.map(
    ([from, names]) => [from, names.split(' ').filter(needs).join(', ')] as const,
  )
  const imports = lines.flatMap(([from, names]) =>
    names === '' ? [] : [`import { ${names} } from '${from}'`],
  )
  return [...imports, code, 'export {}'].join('\n')
}

it('the code of README and docs/ compiles', () => {
  const directory = mkdtempSync(join(tmpdir(), 'switchback-docs-'))
  try {
    symlinkSync(join(ROOT, 'node_modules'), join(directory, 'node_modules'))
    const index = readFileSync(join(ROOT, 'src', 'index.ts'), 'utf8')
    const own = [
      ...index.matchAll(/^ {2}(?:type )?(\w+),$|\b(?:type )?(\w+)(?=,? [^{}]*\} from)/gmu),
    ].map(([, listed, inline]) => (listed ?? inline)!)
    const all = PAGES.flatMap(blocks)
    expect(all.length).toBeGreaterThan(15)
    for (const block of all) writeFileSync(join(directory, block.file), complete(block, own))
    writeFileSync(join(directory, 'context.d.ts'), CONTEXT)
    writeFileSync(join(directory, 'package.json'), '{ "type": "module" }')
    const types = (path: string): string[] => [join(ROOT, 'dist', 'types', path)]
    writeFileSync(
      join(directory, 'tsconfig.json'),
      JSON.stringify({
        compilerOptions: {
          module: 'nodenext',
          target: 'es2023',
          lib: ['es2023', 'esnext.disposable'],
          types: ['node'],
          typeRoots: [join(ROOT, 'node_modules', '@types')],
          strict: true,
          experimentalDecorators: true,
          allowJs: true,
          checkJs: true,
          noEmit: true,
          skipLibCheck: true,
          paths: {
            'openfeature-switchback': types('index.d.ts'),
            'openfeature-switchback/testing': types('cache/testing/index.d.ts'),
            'openfeature-switchback/backend': types('cache/authors.d.ts'),
            'openfeature-switchback/*': types('*/public.d.ts'),
          },
        },
        files: ['context.d.ts', ...all.map(({ file }) => file)],
      }),
    )
    const compiler = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc')
    const { stdout } = spawnSync(process.execPath, [compiler, '-p', directory], {
      encoding: 'utf8',
    })
    // JavaScript declares no types: what has none is no mistake there.
    const untyped = /\.[cm]js\(.*error TS(?:70\d\d|18048|2339):/u
    expect(stdout.split('\n').filter((line) => line !== '' && !untyped.test(line))).toEqual([])
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
})

it('each switch of a sample gets the flags that move its users', () => {
  const without = PAGES.flatMap(blocks).filter(({ code }) =>
    [...code.matchAll(/\bcreate(?:Cache)?Switch(?:<\w+>)?\(\{([\s\S]*?)\n *\}\)/gu)].some(
      ([, options = '']) => !/^ *flags\b/mu.test(options),
    ),
  )
  expect(without.map(({ file }) => file)).toEqual([])
})

it('the plan of a page is about the switch, the flag and the method of its code', () => {
  const text = readFileSync(join(ROOT, 'docs', 'any-implementation.md'), 'utf8')
  const [, plan = ''] = /```yaml\n([\s\S]*?)```/u.exec(text) ?? []
  const { flag, switch: name, method } = parsePlanText(plan) as Record<string, string>
  const [first] = blocks('docs/any-implementation.md')
  expect(first!.code).toContain(`flag: '${flag}'`)
  expect(first!.code).toContain(`name: '${name}'`)
  expect(first!.code).toContain(`${method}: {`)
})

/** ioredis prints the stack of each failed attempt of a client that nobody listens to. */
it('each client of a sample has somebody who hears its errors', () => {
  const deaf = PAGES.flatMap(blocks).filter(
    ({ code }) => /\bnew (?:Redis|Cluster)\(/u.test(code) && !/\bredisCache\(\{ client/u.test(code),
  )
  expect(deaf.map(({ file }) => file)).toEqual([])
})
