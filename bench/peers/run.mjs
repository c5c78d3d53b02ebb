#!/usr/bin/env node
/**
 * Switchback beside its peers: everything in one run, section by section.
 * Usage: npm run bench [-- --rounds 9] [--only redis-hits,decision]
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { arch, cpus, loadavg, release } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { table } from '../measure.mjs'

const SECTIONS = [
  'decision',
  'redis-hits',
  'file-hits',
  'hot-key',
  'migration',
  'hung-redis',
  'flagd-gone',
  'flip',
  'start-up',
  'memory',
]

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '9' },
    only: { type: 'string', default: SECTIONS.join(',') },
  },
})
const options = { rounds: Number(values.rounds) }
const wanted = values.only.split(',')
const unknown = wanted.find((name) => !SECTIONS.includes(name))
if (unknown !== undefined)
  throw new Error(`no section ${unknown}; there are: ${SECTIONS.join(', ')}`)

const load = () => loadavg()[0].toFixed(1)
console.log(
  `node ${process.version}, ${cpus().length} x ${cpus()[0].model}, Linux ${release()} ${arch()}`,
)
console.log(`${options.rounds} rounds; load of the machine at the start: ${load()}`)
console.log(`peers: ${versions().join(', ')}`)

const aims = []
for (const name of wanted) {
  const before = load()
  const result = await section(name)
  console.log(`\n## ${name} (load ${before} -> ${load()})`)
  for (const { title, headings, rows } of result.tables) {
    console.log(`\n${title}\n\n${table(headings, rows)}`)
  }
  aims.push(...result.aims)
}
console.log('\n## Aims\n')
console.log(
  table(
    ['measure', 'aim', 'figure', ''],
    aims.map(({ measure, wanted: aim, figure, met }) => [
      measure,
      aim,
      figure,
      met ? 'met' : 'MISSED',
    ]),
  ),
)

async function section(name) {
  const child = fork(join(import.meta.dirname, 'section.mjs'), [name, JSON.stringify(options)], {
    execArgv: ['--expose-gc'],
  })
  const result = once(child, 'message').then(([message]) => message)
  const gone = once(child, 'exit').then(([code]) => {
    throw new Error(`${name} ended with ${code}`)
  })
  const message = await Promise.race([result, gone])
  await gone.catch(() => {})
  return message
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
