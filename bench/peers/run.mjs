#!/usr/bin/env node
/**
 * Switchback beside its peers: everything in one run, section by section.
 * Usage: npm run bench [-- --rounds 9] [--only redis-hits,decision] [--write] [growth]
 * `--write` puts the tables into bench/README.md, those of `growth` alone into a place of their own.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { arch, cpus, loadavg, release } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { table } from '../measure.mjs'

const SECTIONS = [
  'decision',
  'redis-hits',
  'redis-sets',
  'file-hits',
  'hot-key',
  'migration',
  'hung-redis',
  'flagd-gone',
  'flip',
  'start-up',
  'memory',
  'operator',
]
/** Which are run when they are asked for, or a part of them: they take minutes. */
const MORE = ['growth', 'majors']
const PARTS = ['inFlight', 'entries', 'processes', 'machines', 'pairs', 'outage']
const IN_PARTS = PARTS.map((part) => `growth.${part}`)
/** What takes longer is ended, with all that it has started, and said. */
const MOST_MS = 240_000
const README = join(import.meta.dirname, '../README.md')

const values = readOptions()
const options = { rounds: Number(values.rounds) }
const wanted = values.only.split(',').flatMap((name) => (name === 'growth' ? IN_PARTS : name))

const report = []
const say = (text) => {
  console.log(text)
  report.push(text)
}
const load = () => loadavg()[0].toFixed(1)

say(
  `Node ${process.version}, Linux ${release()} ${arch()}, ${cpus().length} x ${cpus()[0].model}, ` +
    `${options.rounds} rounds. Beside each section: the load of the machine before and after it.`,
)
say(`\nPeers: ${versions().join(', ')}.`)

const aims = []
const tables = []
for (const name of wanted) {
  const before = load()
  const result = await section(name)
  const title = `### ${name.replace('.', ': ')} (load ${before} -> ${load()})`
  const body = result.tables.map((one) => `${one.title}\n\n${table(one.headings, one.rows)}`)
  console.log(`\n${title}\n\n${body.join('\n\n')}`)
  tables.push(title, ...body)
  aims.push(...result.aims)
}
const rows = aims.map((one) => [
  one.measure,
  one.wanted,
  one.figure,
  one.met ? 'met' : '**missed**',
])
if (rows.length > 0) say(`\n### Aims\n\n${table(['measure', 'aim', 'figure', ''], rows)}`)
if (values.write) write([...report, '', tables.join('\n\n')].join('\n'))

function readOptions() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        rounds: { type: 'string', default: '9' },
        only: { type: 'string', default: SECTIONS.join(',') },
        write: { type: 'boolean', default: false },
      },
    })
    if (positionals.length > 0) values.only = positionals.join(',')
    const known = [...SECTIONS, ...MORE, ...IN_PARTS]
    const unknown = values.only.split(',').find((name) => !known.includes(name))
    if (unknown !== undefined)
      throw new Error(`no section "${unknown}"; there are: ${known.join(', ')}`)
    if (!/^[1-9]\d{0,3}$/.test(values.rounds))
      throw new Error(`--rounds must be a whole number from 1 up, not "${values.rounds}"`)
    return values
  } catch (error) {
    console.error(error.message)
    process.exit(2)
  }
}

async function section(name) {
  const child = fork(join(import.meta.dirname, 'section.mjs'), [name, JSON.stringify(options)], {
    execArgv: ['--expose-gc'],
    // A group of its own, so that its servers and workers can be ended with it.
    detached: true,
  })
  const end = () => process.kill(-child.pid, 'SIGKILL')
  const bound = setTimeout(end, MOST_MS)
  const stop = () => {
    end()
    process.exit(1)
  }
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, stop)
  let result
  child.on('message', (message) => {
    result = message
  })
  const [code] = await once(child, 'exit')
  clearTimeout(bound)
  for (const signal of ['SIGINT', 'SIGTERM']) process.off(signal, stop)
  if (result !== undefined) return result
  if (code !== null) throw new Error(`${name} ended with ${code} and no result`)
  const title = `Not measured: it did not end within ${MOST_MS / 1000} s.`
  return { tables: [{ title, headings: ['part'], rows: [[name]] }], aims: [] }
}

/** Between the two marks; what stands around them is written by people. */
function write(text) {
  const mark = MORE.includes(values.only) ? values.only : 'measured'
  const [begin, end] = [`<!-- ${mark} -->`, `<!-- /${mark} -->`]
  const page = readFileSync(README, 'utf8')
  const before = page.slice(0, page.indexOf(begin) + begin.length)
  writeFileSync(README, `${before}\n\n${text}\n\n${page.slice(page.indexOf(end))}`)
}

/** What is really installed, peers and what they share with Switchback. */
function versions() {
  const { dependencies } = JSON.parse(readFileSync(join(import.meta.dirname, '../package.json')))
  const shared = ['ioredis', 'libsql', '@openfeature/server-sdk', '@openfeature/flagd-provider']
  return [...Object.keys(dependencies), ...shared].map((name) => {
    const own = shared.includes(name) ? '../../node_modules' : '../node_modules'
    const manifest = join(import.meta.dirname, own, name, 'package.json')
    return `${name} ${JSON.parse(readFileSync(manifest)).version}`
  })
}
