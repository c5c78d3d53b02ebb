import assert from 'node:assert/strict'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import * as api from 'openfeature-switchback'
import { smoke } from './smoke.mjs'

// Nothing is installed but the package and its peer: files need a Node.js that has SQLite.
await smoke(
  api,
  { assert, fs, os, path },
  { peers: false, files: process.argv.includes('--files') },
)
console.log('import ok')
