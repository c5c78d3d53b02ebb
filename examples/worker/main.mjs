// A pool of threads that do jobs, and a small HTTP interface before it. A cache belongs to its thread: each
// makes its own, on the same directory, and sees at once what the others have written.
import { once } from 'node:events'
import { createServer } from 'node:http'
import { Worker } from 'node:worker_threads'

const workers = [1, 2].map(() => new Worker(new URL('worker.mjs', import.meta.url)))
const waiting = new Map()
for (const worker of workers) {
  worker.on('message', ({ id, report }) => {
    waiting.get(id)(report)
    waiting.delete(id)
  })
}

let jobs = 0
const run = (customer) =>
  new Promise((resolve) => {
    const id = ++jobs
    waiting.set(id, resolve)
    workers[id % workers.length].postMessage({ id, customer })
  })

const server = createServer(async ({ url }, response) => {
  response.end(JSON.stringify(await run(url.split('/').at(-1))))
})
server.listen(Number(process.env.PORT ?? 3000), () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}`)
})

const stop = () => {
  server.close(async () => {
    for (const worker of workers) worker.postMessage({ stop: true })
    await Promise.all(workers.map((worker) => once(worker, 'exit')))
  })
  server.closeIdleConnections()
}
process.once('SIGTERM', stop)
process.once('SIGINT', stop)
