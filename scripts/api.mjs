// The public API as text: every name that an entry of package.json exports, with its declaration as it is
// published, without comments. `docs/api.md` is this text, and test/packaging/api.test.ts compares the two;
// `npm run docs:api` writes it. It also finds the types that a published declaration mentions and no entry
// exports. TypeScript's own programming interface is marked unstable: this is the only place that uses it.
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { SyntaxKind } from 'typescript/unstable/ast'
import { API, SymbolFlags } from 'typescript/unstable/sync'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const PAGE = join(ROOT, 'docs', 'api.md')

/** @returns {{ text: string, hidden: string[] }} the page, and what is mentioned but not exported */
export function publicApi(root = ROOT) {
  const { name, exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const entries = Object.entries(exports)
    .filter(([, target]) => typeof target === 'object')
    .map(([path, target]) => [name + path.slice(1), join(root, target.default.types)])
  const config = join(root, 'dist', 'types', `tsconfig.api.${process.pid}.json`)
  const compilerOptions = {
    module: 'nodenext',
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    types: ['node'],
    typeRoots: [join(root, 'node_modules', '@types')],
  }
  writeFileSync(config, JSON.stringify({ compilerOptions, files: entries.map(([, file]) => file) }))
  const api = new API({ cwd: root })
  try {
    const snapshot = api.updateSnapshot({ openProject: config })
    return describe(snapshot.getProjects()[0], entries, join(root, 'dist', 'types'))
  } finally {
    api.close()
    rmSync(config)
  }
}

function describe({ program, checker }, entries, types) {
  const exported = new Set()
  const sections = entries.map(([entry, file]) => {
    const module = checker.getSymbolAtLocation(program.getSourceFile(file))
    const symbols = checker.getExportsOfModule(module).map((symbol) => ({
      name: symbol.name,
      target: symbol.flags & SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol,
    }))
    for (const { target } of symbols) exported.add(target.id)
    return { entry, symbols }
  })
  const hidden = new Set()
  const first = new Map()
  const text = sections.map(({ entry, symbols }) => {
    const again = []
    const lines = []
    for (const { name, target } of symbols.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
      const nodes = target.declarations.map((handle) => handle.resolve())
      const whole = nodes.map(statementOf)
      if (first.has(target.id)) again.push(`\`${name}\` (${first.get(target.id)})`)
      else {
        first.set(target.id, entry)
        for (const node of whole) lines.push(plain(node.getText()))
      }
      const mentions = whole.flatMap((node) => [...identifiers(node)])
      for (const symbol of checker.getSymbolAtLocation(mentions)) {
        const what = mentioned(checker, symbol, types)
        if (what !== undefined && !exported.has(what.id)) {
          hidden.add(`${entry}: ${name} mentions ${what.name}`)
        }
      }
    }
    const also = again.length === 0 ? '' : `\nAlso here: ${again.join(', ')}\n`
    return `## ${entry}\n${also}\n\`\`\`ts\n${lines.join('\n')}\n\`\`\`\n`
  })
  return { text: `${HEAD}\n${text.join('\n')}`, hidden: [...hidden].sort() }
}

/** A variable's declaration is two levels below its statement. */
function statementOf(node) {
  let at = node
  while (at.parent !== undefined && at.parent.kind !== SyntaxKind.SourceFile) at = at.parent
  return at
}

/** The names that stand for types, not those of members and parameters. */
function* identifiers(node) {
  if ([SyntaxKind.TypeReference, SyntaxKind.ExpressionWithTypeArguments].includes(node.kind)) {
    const name = node.typeName ?? node.expression
    if (name?.kind === SyntaxKind.Identifier) yield name
  }
  const children = []
  node.forEachChild((child) => {
    children.push(child)
  })
  for (const child of children) yield* identifiers(child)
}

/** A declaration of this package on the top level of its file. */
function mentioned(checker, symbol, types) {
  if (symbol === undefined) return undefined
  const target = symbol.flags & SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol
  if (target.flags & SymbolFlags.TypeParameter) return undefined
  const ours = target.declarations.some(({ path }) => path.startsWith(types))
  return ours ? target : undefined
}

/** Without comments, and without the members that only the declaration knows. */
function plain(text) {
  return text
    .replaceAll(/\/\*[\s\S]*?\*\//gu, '')
    .replaceAll(/^\s*\/\/.*$/gmu, '')
    .replaceAll(/^\s*(?:#private|private [^;]*);$/gmu, '')
    .replaceAll(/^export (?:declare )?/gmu, '')
    .replaceAll(/[ \t]+$/gmu, '')
    .replaceAll(/\n{2,}/gu, '\n')
}

const HEAD = `# Public API

For reviewers. Every name that an entry of the package exports, as it is published; generated (\`npm run docs:api\`), and
a test compares it with the build: a change of this page in a pull request is a change of the public API. With
explanations: \`npm run docs\`.
`

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const { text, hidden } = publicApi()
  for (const problem of hidden) console.error(problem)
  if (!existsSync(PAGE) || readFileSync(PAGE, 'utf8') !== text) writeFileSync(PAGE, text)
  console.log(`${text.split('\n').length} lines in docs/api.md`)
  process.exitCode = hidden.length === 0 ? 0 : 1
}
