// A process with file caches of its own, which does what it is told over IPC.
import { fileCache } from '../../build/cache/index.js'

const caches = new Map()

process.on('message', async ({ id, options, target, method, args }) => {
  try {
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
    const onWarning = ({ code }) => process.send({ warning: code, directory })
    cache = fileCache({ ...options, onWarning })
    caches.set(name, cache)
  }
  return cache
}
