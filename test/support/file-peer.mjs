// A process with file caches of its own, which does what it is told over IPC.
import { createRequire, syncBuiltinESMExports } from 'node:module'
import { fileCache } from '../../dist/index.mjs'

const caches = new Map()

/** Before which of the next writes to the control file this process stops; 0: none. */
let stopBefore = 0
const fs = createRequire(import.meta.url)('node:fs')
const { writeSync } = fs
fs.writeSync = (...args) => {
  if (stopBefore > 0 && --stopBefore === 0) {
    process.kill(process.pid, 'SIGSTOP')
    // The signal may reach another thread first, and this one a moment later.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100)
  }
  return writeSync(...args)
}
syncBuiltinESMExports()

process.on('message', async ({ id, options, target, method, args, stop }) => {
  try {
    stopBefore = stop ?? 0
    const cache = cacheOf(options)
    const on = target === 'ledger' ? cache.ledger : cache
    process.send({ id, result: await on[method](...args) })
  } catch (error) {
    process.send({ id, error: { code: error.code, message: error.message } })
  }
})

function cacheOf(options) {
  const name = JSON.stringify(options)
  let cache = caches.get(name)
  if (cache === undefined) {
    const { directory } = options
    cache = fileCache(options)
    cache.onWarning(({ code }) => process.send({ warning: code, directory }))
    caches.set(name, cache)
  }
  return cache
}
