#!/usr/bin/env node
/**
 * The chaos harness: real processes on one file store and one Redis under a random schedule of faults, and
 * every read held to what had been acknowledged before it. Usage: npm run test:chaos -- [--minutes 10]
 * [--seed N] [--profile a,b] [--until-found] [--package DIR] (another built copy of this package)
 * [--plant no-tombstones|no-ledger|no-licence|deaf-follower|trusting-follower] (a defect that it must find)
 *
 * Profiles `net*` put each process and store into a network namespace, or, without root, say so and cut links with
 * proxies. The server is `redis-server`, or what REDIS_SERVER_BIN names: REDIS_SERVER_BIN=valkey-server.
 */
import { spawnSync } from 'node:child_process'
import { join, resolve } from 'node:path'
import { obtainProgram, redisServer } from '../build/cli/provision/index.js'

const root = resolve(import.meta.dirname, '..')
const out = join(root, '.cache', 'chaos')
const redis = await obtainProgram(redisServer, {
  env: process.env,
  say: (line) => console.log(line),
})
if (redis.path === undefined) {
  console.error(`test:chaos: ${redis.reason}`)
  process.exit(1)
}
const { stdout: version } = spawnSync(redis.path, ['--version'], { encoding: 'utf8' })
const [, product = redis.path, release = ''] = /^(\w+) server v=(\S+)/u.exec(version ?? '') ?? []
console.log(`chaos: ${product} ${release}`)
// Node 20 runs no TypeScript.
const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
const options = ['-p', join(root, 'test', 'chaos', 'tsconfig.json'), '--outDir', out]
const compiled = spawnSync(process.execPath, [compiler, ...options], { stdio: 'inherit' })
if (compiled.status !== 0) process.exit(1)
const { status } = spawnSync(
  process.execPath,
  [join(out, 'test', 'chaos', 'main.js'), ...process.argv.slice(2)],
  { stdio: 'inherit', cwd: root, env: { ...process.env, REDIS_SERVER_BIN: redis.path } },
)
process.exit(status ?? 1)
