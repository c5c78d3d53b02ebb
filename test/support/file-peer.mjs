// A process with a file cache of its own, which does what it is told over IPC.
import { fileCache } from '../../dist/cache/index.js'

const cache = fileCache({
  ...JSON.parse(process.argv[2]),
  onWarning: (warning) => process.send({ warning: warning.code }),
})

process.on('message', async ({ id, target, method, args }) => {
  try {
    const on = target === 'ledger' ? cache.ledger : cache
    process.send({ id, result: await on[method](...args) })
  } catch (error) {
    process.send({ id, error: { code: error.code, message: error.message } })
  }
})
