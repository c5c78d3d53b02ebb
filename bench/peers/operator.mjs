/**
 * What who operates a rollout waits for, and what a process with many users holds: a rollback until flagd
 * serves it and an application decides it, a preview, and the memory of 100,000 users beside 16 MiB of values.
 * `FLAGD_BIN` names a flagd; without one it is the sidecar.
 */
import { execFile, spawn } from 'node:child_process'
import { createReadStream, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { flagsFromEnvironment } from '../../dist/index.mjs'
import { parseUsers } from '../../build/rollout/index.js'
import { changeBack, changeShare, loadFlags, preview, setShare } from '../../dist/rollout.mjs'
import { median } from '../measure.mjs'
import { answersOn, freePort } from '../with-redis.mjs'
import { aim } from './report.mjs'
import { FLAG, flagsAt } from './stage.mjs'

const USERS = 50
const PREVIEWED = 1_000_000
const LIBRARY = new URL('../../dist/index.mjs', import.meta.url).href

export async function measure({ rounds }) {
  const directory = mkdtempSync(join(tmpdir(), 'switchback-operator-'))
  const file = join(directory, 'use-redis.json')
  writeFileSync(file, flagsAt(100))
  try {
    const { stages, flagd } = await rollbacks(file, directory, Math.max(rounds, 5))
    const app = median(stages['every user decided by the application'])
    const ms = await previewMs(file)
    const listedMs = await previewMs(file, usersFile(directory))
    const mebibytes = (await rssMiB(remembering(directory))) - (await rssMiB(''))
    return {
      tables: [
        {
          title: `A rollback, ms from the call (${flagd}, application in-process)`,
          headings: ['until', 'median', 'lowest', 'highest'],
          rows: Object.entries(stages).map(([name, times]) => [
            name,
            median(times).toFixed(0),
            Math.min(...times).toFixed(0),
            Math.max(...times).toFixed(0),
          ]),
        },
      ],
      aims: [
        aim(
          `rollback: until the last of ${USERS} users is decided`,
          '<= 25 ms',
          `${app.toFixed(0)} ms`,
          app <= 25,
        ),
        aim('preview of 1,000,000 users', '<= 1.0 s', `${(ms / 1000).toFixed(2)} s`, ms <= 1000),
        aim(
          'preview of 1,000,000 users with attributes from a file',
          '<= 1.0 s',
          `${(listedMs / 1000).toFixed(2)} s`,
          listedMs <= 1000,
        ),
        aim(
          'memory of 100,000 remembered users and 16 MiB of file values, over bare Node',
          '<= 60 MiB',
          `${mebibytes.toFixed(0)} MiB`,
          mebibytes <= 60,
        ),
      ],
    }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

async function rollbacks(file, directory, rounds) {
  const [rpc, management, sync, ofrep] = [
    await freePort(),
    await freePort(),
    await freePort(),
    await freePort(),
  ]
  const bin = process.env.FLAGD_BIN
  const program = fileURLToPath(new URL('../../dist/cli/bin.js', import.meta.url))
  const sources = JSON.stringify([{ uri: file, provider: 'fsnotify' }])
  const ports = (names) => [rpc, management, sync, ofrep].flatMap((port, i) => [names[i], port])
  const own = ['--evaluation-port', '--management-port', '--sync-port', '--ofrep-port']
  const [command, args] =
    bin === undefined
      ? [process.execPath, [program, 'sidecar', '--file', file, ...ports(own)]]
      : [bin, ['start', '-s', sources, ...ports(['-p', '-m', '-g', '-r'])]]
  const child = spawn(command, args.map(String), {
    stdio: 'ignore',
    env: { HOME: directory, PATH: process.env.PATH, OTEL_TRACES_EXPORTER: 'none' },
  })
  const flags = await answersOn(ofrep).then(() =>
    flagsFromEnvironment({
      FLAGD_HOST: '127.0.0.1',
      FLAGD_PORT: String(sync),
      FLAGD_RESOLVER: 'in-process',
      FLAGD_DEADLINE_MS: '30000',
    }),
  )
  const decider = flags.createDecider({ flag: FLAG })
  const decided = async (side) => {
    for (let i = 0; i < USERS; i += 1) {
      while ((await decider.decide({ targetingKey: `user-${i}` })).side !== side) await sleep(1)
    }
    return performance.now()
  }
  const common = {
    file,
    flag: FLAG,
    flagd: `http://127.0.0.1:${ofrep}`,
    by: { who: 'bench', via: 'bench' },
    timeoutMs: 20_000,
  }
  const stages = {
    'the file is written': [],
    'every user decided by the application': [],
    [`flagd serves it to all of ${USERS}`]: [],
    'it is reported': [],
  }
  try {
    for (let round = -1; round < rounds; round += 1) {
      await changeShare({ ...common, percent: 100 })
      await decided('on')
      await sleep(200)
      const began = performance.now()
      const app = decided('off')
      const { applied, confirmation } = await changeBack(common)
      const reported = performance.now()
      const times = [applied.at, await app, applied.at + confirmation.lastMs, reported]
      if (round < 0) continue
      Object.values(stages).forEach((list, i) => list.push(times[i] - began))
    }
  } finally {
    await decider.close()
    await flags.close()
    child.kill('SIGKILL')
  }
  return { stages, flagd: bin === undefined ? 'sidecar' : 'flagd' }
}

/** @param list a file of users; without one they are made up */
async function previewMs(file, list) {
  const before = await loadFlags(file)
  const { after } = setShare(before, { flag: FLAG, percent: 50 })
  const began = performance.now()
  const users = list === undefined ? PREVIEWED : parseUsers(createReadStream(list))
  await preview({ flag: FLAG, before, after, users })
  return performance.now() - began
}

function usersFile(directory) {
  const path = join(directory, 'users.jsonl')
  const lines = Array.from({ length: PREVIEWED }, (_, i) =>
    JSON.stringify({ targetingKey: `user_${i}`, plan: i % 3 === 0 ? 'free' : 'gold' }),
  )
  writeFileSync(path, lines.join('\n'))
  return path
}

/** Of a process of its own, after a garbage collection. */
async function rssMiB(program) {
  const text = `${program}\nglobalThis.gc(); console.log(process.memoryUsage.rss()); process.exit(0)`
  const args = ['--expose-gc', '--input-type=module', '-e', text]
  const { stdout } = await promisify(execFile)(process.execPath, args)
  return Number(stdout) / 2 ** 20
}

const remembering = (directory) => `
  const { createCacheSwitch, fileCache, flagsFromEnvironment, memoryCache } = await import('${LIBRARY}')
  const flags = await flagsFromEnvironment({
    FLAGD_RESOLVER: 'file', FLAGD_OFFLINE_FLAG_SOURCE_PATH: ${JSON.stringify(join(directory, 'use-redis.json'))},
  })
  const decider = flags.createDecider({ flag: '${FLAG}', maxRemembered: 200_000 })
  for (let i = 0; i < 100_000; i += 1) await decider.decide({ targetingKey: 'user-' + String(i).padStart(15, '0') })
  const off = fileCache({ directory: ${JSON.stringify(join(directory, 'values'))} })
  const cache = createCacheSwitch({ decider, off, on: memoryCache() })
  const text = 'x'.repeat(16_384)
  for (let i = 0; i < 1024; i += 1) await cache.for({ targetingKey: 'nobody' }).set('key-' + i, text)
  for (let i = 0; i < 1024; i += 1) await cache.for({ targetingKey: 'nobody' }).get('key-' + i)`
