import assert from 'node:assert/strict'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import * as api from 'openfeature-switchback'
import { readFlags } from 'openfeature-switchback/rollout'
import { backendConformance } from 'openfeature-switchback/testing'
import { smoke } from './smoke.mjs'

assert.ok(backendConformance(() => {}).length > 10)
assert.equal(readFlags('{"flags":{}}').text, '{"flags":{}}')
await_(smoke(api, { assert, fs, os, path }, { peers: true, files: true }))

/** CommonJS has no await at the top. */
function await_(done) {
  done.then(
    () => console.log('ok'),
    (error) => {
      console.error(error)
      process.exitCode = 1
    },
  )
}
