const { parentPort, workerData } = require('node:worker_threads')
const { createCacheSwitch, fileCache, memoryCache } = require('openfeature-switchback')

async function main() {
  const { directory } = workerData
  const cache = createCacheSwitch({
    flag: 'use-redis',
    off: fileCache({ directory }),
    on: memoryCache(),
  })
  const view = cache.for({ targetingKey: 'user-7' })
  await view.set('of-worker', 'worker')
  parentPort.postMessage(await view.get('of-main'))
  await cache.close()
}

main()
