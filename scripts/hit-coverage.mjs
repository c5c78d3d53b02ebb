// What a newcomer reads to follow one hit: the files of `src/` that one warm `getOrSet` runs through, and
// their lines. `npm run build && node scripts/hit-coverage.mjs [--files] [redis url]`. V8 tells which
// functions ran; the whole file counts, since nobody reads half of one.
import { readFileSync, mkdtempSync, rmSync } from 'node:fs'
import { Session } from 'node:inspector/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { OpenFeature } from '@openfeature/server-sdk'
import { flagByKey } from '../bench/flag-by-key.mjs'
import { withRedis } from '../bench/with-redis.mjs'
import { createCacheSwitch, createTelemetry, fileCache, redisCache } from '../build/index.js'

const built = new URL('../build/', import.meta.url).href
const args = process.argv.slice(2)

await withRedis(
  args.find((arg) => !arg.startsWith('--')),
  async (url) => {
    await flagByKey()
    const directory = mkdtempSync(join(tmpdir(), 'switchback-hit-'))
    const cache = createCacheSwitch({
      flag: 'use-redis',
      off: fileCache({ directory }),
      on: redisCache({ url }),
      telemetry: createTelemetry(),
      deadlineMs: 10_000,
    })
    const session = new Session()
    session.connect()
    await session.post('Profiler.enable')
    for (const [side, title] of [
      ['off', 'file hit'],
      ['on', 'Redis hit'],
    ]) {
      const view = cache.for({ targetingKey: side })
      const hit = () => view.getOrSet(side, () => ({ side }))
      for (let i = 0; i < 10; i += 1) await hit()
      // The smallest of some hits: a timer of the background may fire amid one.
      const seen = []
      for (let i = 0; i < 20; i += 1) {
        // A file hit never ends its turn, and Redis would count as silent.
        await setTimeout(10)
        // Only what ran is told where calls are counted.
        await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false })
        await session.post('Profiler.takePreciseCoverage')
        await hit()
        const { result } = await session.post('Profiler.takePreciseCoverage')
        await session.post('Profiler.stopPreciseCoverage')
        seen.push(filesOf(result))
      }
      const [rows] = seen.sort((one, other) => linesOf(one) - linesOf(other))
      console.log(`${title}: ${rows.length} files, ${linesOf(rows)} lines`)
      if (args.includes('--files')) {
        for (const [file, count] of rows) console.log(`  ${count}\t${file}`)
      }
    }
    await cache.close()
    await OpenFeature.close()
    rmSync(directory, { recursive: true, force: true })
  },
)

function filesOf(scripts) {
  return scripts
    .filter(({ url, functions }) => url.startsWith(built) && functions.some(ran))
    .map(({ url }) => {
      const file = url.slice(built.length).replace(/\.js$/u, '.ts')
      const path = fileURLToPath(new URL(`../src/${file}`, import.meta.url))
      return [file, readFileSync(path, 'utf8').split('\n').length - 1]
    })
    .sort()
}

function linesOf(rows) {
  return rows.reduce((sum, [, count]) => sum + count, 0)
}

/** A function of the file, not the file itself, which is counted with each. */
function ran({ functionName, ranges }) {
  return functionName !== '' && ranges[0].count > 0
}
