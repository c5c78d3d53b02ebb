// import in the main thread, require in the worker, and one file store for both.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import fs from 'node:fs'
import { createRequire } from 'node:module'
import os from 'node:os'
import path from 'node:path'
import { Worker } from 'node:worker_threads'
import * as api from 'openfeature-switchback'
import { smoke } from './smoke.mjs'

const required = createRequire(import.meta.url)('openfeature-switchback')
assert.equal(required.SwitchbackError, api.SwitchbackError)
assert.equal(required.createCacheSwitch, api.createCacheSwitch)
assert.deepEqual(Object.keys(required).toSorted(), Object.keys(api).toSorted())
await smoke(api, { assert, fs, os, path }, { peers: false, files: true })

const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'switchback-threads-'))
const cache = api.createCacheSwitch({
  flag: 'use-redis',
  off: api.fileCache({ directory }),
  on: api.memoryCache(),
})
const view = cache.for({ targetingKey: 'user-7' })
await view.set('of-main', 'main')
const worker = new Worker(new URL('worker.cjs', import.meta.url), { workerData: { directory } })
const [[seen]] = await Promise.all([once(worker, 'message'), once(worker, 'exit')])
assert.equal(seen, 'main')
assert.equal(await view.get('of-worker'), 'worker')
await cache.close()
fs.rmSync(directory, { recursive: true, force: true })
