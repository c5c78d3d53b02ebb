// Makes `dist/`, what is published, of `src/` and the type declarations in `build/`:
// - the library in CommonJS, and a door to it for `import`, so that there is one copy of its state. The
//   door is no bare CommonJS file: Node.js would compile its parser of exports first, 100 ms of CPU;
// - the library in ES modules, which bundlers alone are given (the condition "module");
// - the command line with everything that it needs, and the licences of what is bundled.
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { rolldown } from 'rolldown'

const ENTRIES = {
  index: 'src/index.ts',
  testing: 'src/cache/testing/index.ts',
  rollout: 'src/rollout/public.ts',
  backend: 'src/cache/authors.ts',
  telemetry: 'src/telemetry/public.ts',
  guard: 'src/guard/public.ts',
}
/**
 * They need what only the command line needs (fastify, grpc-js), and so they are its files: nothing is
 * installed or packed twice for them. Bundlers cannot take them in: the page is files beside them.
 */
const SERVERS = {
  control: 'src/control/public.ts',
  sidecar: 'src/sidecar/index.ts',
}
const ALL = { ...ENTRIES, ...SERVERS }
/** Stands for `require` until the bundler is done: it has rules of its own for that name. */
const MARK = '__REQUIRE__'
const YAML = './yaml.cjs'
/** What the command line loads when it first needs it, each in a file of its own. */
const LAZY = {
  ioredis: 'ioredis',
  'flagd-provider': '@openfeature/flagd-provider',
  api: '@opentelemetry/api',
}
/** What a rollback needs is two files: each further one is found, read and linked before it can write. */
const GROUPS = [
  { name: 'framework', test: /src\/(cli\/framework\/|errors|error-codes|closest)/, priority: 1 },
  { name: 'rollout', test: /src\/(rollout|flagfile|scrape|cli\/changing)\// },
]
/** Its main file hides what it requires from bundlers. */
const ALIAS = { 'jsonc-parser': 'jsonc-parser/lib/esm/main.js' }
/** Names stay, for stack traces. */
const TIGHT = { codegen: { removeWhitespace: true }, compress: false, mangle: false }

/**
 * @param {{ root: string, build: string, out: string }} directories `build` is where `tsc` has written to
 */
export async function bundle({ root, build, out }) {
  process.chdir(root)
  const { dependencies = {}, peerDependencies = {} } = JSON.parse(
    readFileSync('package.json', 'utf8'),
  )
  const installed = [...Object.keys(dependencies), ...Object.keys(peerDependencies)]
  const external = (id) => id === YAML || installed.some((name) => isOf(id, name))
  const bundled = new Set()
  const make = (options, output) => write(options, { dir: out, ...output }, bundled)

  const library = { input: ENTRIES, external }
  await make({ ...library, plugins: [lazily(bare), late()] }, named('cjs', 'cjs'))
  await make({ ...library, plugins: [lazily(marked), unmark()] }, named('esm', 'js'))
  await make({ input: { yaml: 'yaml-entry' }, plugins: [yamlEntry()] }, named('cjs', 'cjs'))

  const cli = join(out, 'cli')
  await make({ input: LAZY }, { ...named('cjs', 'cjs'), dir: join(cli, 'lazy'), minify: TIGHT })
  await make(
    {
      input: { bin: 'src/cli/bin.ts', ...SERVERS },
      plugins: [lazily(besideTheCommand)],
    },
    {
      ...named('esm', 'js'),
      dir: cli,
      minify: TIGHT,
      codeSplitting: { groups: GROUPS },
    },
  )
  const page = join(cli, 'page')
  await make({ input: { main: 'src/control/page/page.ts' }, platform: 'browser' }, { dir: page })
  for (const [from, to] of [
    ['uPlot.iife.min.js', 'uplot.js'],
    ['uPlot.min.css', 'uplot.css'],
  ]) {
    copyFileSync(join('node_modules/uplot/dist', from), join(page, to))
  }
  bundled.add(join(root, 'node_modules', 'uplot'))
  copyTypes(build, join(out, 'types'))
  for (const name of Object.keys(SERVERS)) {
    writeFileSync(join(out, `${name}.cjs`), `module.exports = require('./cli/${name}.js')\n`)
  }
  for (const name of Object.keys(ALL)) makeDoor(out, name)
  writeFileSync(join(out, 'THIRD_PARTY.txt'), licences(bundled))
}

async function write(input, output, bundled) {
  const build = await rolldown({
    platform: 'node',
    logLevel: 'warn',
    onLog(level, log, handle) {
      // What is not installed would be missing only where it is first needed.
      handle(log.code === 'UNRESOLVED_IMPORT' ? 'error' : level, log)
    },
    resolve: { alias: ALIAS },
    transform: { target: 'node20.19' },
    ...input,
  })
  try {
    const { output: files } = await build.write(output)
    for (const { moduleIds = [] } of files) {
      for (const id of moduleIds) {
        const directory = /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(id)?.[0]
        if (directory !== undefined) bundled.add(directory)
      }
    }
  } finally {
    await build.close()
  }
}

function named(format, extension) {
  return {
    format,
    exports: 'named',
    entryFileNames: `[name].${extension}`,
    chunkFileNames: `[name]-[hash].${extension}`,
    // The declarations have them, for editors; what bundlers read stays.
    comments: { jsdoc: false },
  }
}

function isOf(id, name) {
  return id === name || id.startsWith(`${name}/`)
}

/** Rewrites `src/load-package.ts`: what is behind its `require`. */
function lazily(rewrite) {
  return {
    name: 'lazily',
    transform: {
      filter: { id: /src\/load-package\.ts$/ },
      handler(text) {
        const own = /^import \{ createRequire \}.*\n|^const require = .*\n/gm
        if (text.match(own)?.length !== 2)
          throw new Error('load-package.ts is not as bundle.mjs knows it')
        return rewrite(text.replace(own, ''))
      },
    },
  }
}

/** Node.js compiles these when they are required, for a quarter of the time of the whole import. */
const LATE = ['node:crypto', 'node:net', 'node:tls']

/** Has each of them required when the first of its functions is called. */
function late() {
  const of = (code, name) => {
    const line = new RegExp(`^let (\\w+) = require\\("${name}"\\);$`, 'm')
    const id = line.exec(code)?.[1]
    if (id === undefined) return code
    const used = new Set(
      [...code.matchAll(new RegExp(`\\b${id}\\.(\\w+)`, 'g'))].map(([, one]) => one),
    )
    const getters = [...used].map(
      (one) => `get ${one}() { return (this.all ??= require("${name}")).${one}; }`,
    )
    return code.replace(line, `const ${id} = { all: void 0, ${getters.join(', ')} };`)
  }
  return { name: 'late', renderChunk: (code) => LATE.reduce(of, code) }
}

/** `require` is there; YAML has a file of its own, which nobody loads who reads JSON. */
function bare(text) {
  return text.replace("require('yaml')", `require('${YAML}')`)
}

/** In ES modules, and nothing that the bundler would resolve. */
function besideTheCommand(text) {
  const found = Object.entries(LAZY).reduce(
    (rest, [file, name]) => rest.replace(`'${name}')`, `'./lazy/${file}.cjs')`),
    text.replace("'yaml')", `'.${YAML}')`),
  )
  return `import { createRequire } from 'node:module'
const load = createRequire(import.meta.url)
${found.replaceAll('=> require(', '=> load(')}`
}

/**
 * A bundler sees the `require` and takes the package in. Where that leads nowhere (not installed when
 * the bundle was made; an ES module without `require`), Node.js looks beside the bundle.
 */
function marked(text) {
  const body = bare(text).replace(
    /=> require\('([^']+)'\)/g,
    (_, name) => `=> {
    try {
      return ${MARK}('${name}')
    } catch (error) {
      return besideTheBundle(error, '${name}')
    }
  }`,
  )
  return `import { createRequire } from 'node:module'
function besideTheBundle(error: unknown, name: string): unknown {
  const { url } = import.meta
  if (!url) throw error
  return createRequire(url)(name)
}
${body}`
}

function unmark() {
  return { name: 'unmark', renderChunk: (code) => code.replaceAll(MARK, 'require') }
}

/** YAML's build for browsers: it needs nothing of Node.js, and so it can be bundled again. */
function yamlEntry() {
  const names = ['isScalar', 'parse', 'parseAllDocuments', 'visit']
  return {
    name: 'yaml-entry',
    resolveId: (id) => (id === 'yaml-entry' ? id : undefined),
    load: (id) =>
      id === 'yaml-entry'
        ? `export { ${names.join(', ')} } from '${join(process.cwd(), 'node_modules/yaml/browser/dist/index.js')}'`
        : undefined,
  }
}

/** The declarations that the entries reach. CommonJS is what Node.js loads, and so what they describe. */
function copyTypes(from, to) {
  const seen = new Set()
  const open = Object.values(ALL).map((entry) => entry.replace(/^src\/(.*)\.ts$/, '$1.d.ts'))
  for (let file = open.pop(); file !== undefined; file = open.pop()) {
    if (seen.has(file)) continue
    seen.add(file)
    const text = readFileSync(join(from, file), 'utf8')
    for (const [, path] of text.matchAll(/(?:from |import\()['"](\.[^'"]+)['"]/g)) {
      open.push(join(dirname(file), path).replace(/\.[jt]s$/, '.d.ts'))
    }
    mkdirSync(dirname(join(to, file)), { recursive: true })
    writeFileSync(join(to, file), text.replaceAll(/(['"])(\.[^'"]+)\.ts\1/g, '$1$2.js$1'))
  }
  writeFileSync(join(to, 'package.json'), '{ "type": "commonjs" }\n')
}

function makeDoor(out, name) {
  const names = Object.keys(createRequire(import.meta.url)(join(out, `${name}.cjs`)))
  const door = `import { createRequire } from 'node:module'
const library = createRequire(import.meta.url)('./${name}.cjs')
export const { ${names.join(', ')} } = library
`
  const text = name in SERVERS ? `export * from './cli/${name}.js'\n` : door
  writeFileSync(join(out, `${name}.mjs`), text)
  const types = ALL[name].replace(/^src\/(.*)\.ts$/, './types/$1.js')
  writeFileSync(join(out, `${name}.d.mts`), `export * from '${types}'\n`)
}

/** Each text once, under all the packages that have it word for word: Apache 2.0 alone is 11 kB. */
function licences(directories) {
  const packagesOf = new Map()
  for (const directory of [...directories].sort()) {
    const { name, version, license } = JSON.parse(
      readFileSync(join(directory, 'package.json'), 'utf8'),
    )
    const files = readdirSync(directory).filter((file) =>
      /^(licen[cs]e|notice|copying)/i.test(file),
    )
    const texts = files.map((file) => readFileSync(join(directory, file), 'utf8').trim())
    const text = texts.join('\n\n')
    const same = text.replaceAll(/\s+/g, ' ')
    if (!packagesOf.has(same)) packagesOf.set(same, { packages: [], text })
    packagesOf.get(same).packages.push(`${name} ${version} (${license})`)
  }
  const parts = [...packagesOf.values()].map(({ packages, text }) =>
    [packages.join('\n'), text].join('\n\n').trim(),
  )
  const line = `\n\n${'-'.repeat(80)}\n\n`
  return `The following packages are bundled into Switchback, in whole or in part.${line}${parts.join(line)}\n`
}
