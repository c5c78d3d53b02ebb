/**
 * Another process that writes to the file store: holds its lock for some milliseconds, or until it is
 * told. Stopped in between, it is a writer that was frozen in the middle of a write.
 */
import { existsSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import Database from 'libsql'

const path = process.argv[2]

async function hold(ms) {
  if (!existsSync(path)) return
  let database
  try {
    database = new Database(path)
    database.exec('BEGIN IMMEDIATE')
  } catch {
    database?.close()
    return // busy, or just being replaced: next time
  }
  process.send('held')
  await delay(ms)
  try {
    database.exec('ROLLBACK')
    database.close()
  } catch {
    // The store was replaced meanwhile.
  }
}

process.on('message', async ({ ms, times, pauseMs }) => {
  for (let i = 0; i < times; i += 1) {
    await hold(ms * (times === 1 ? 1 : Math.random()))
    await delay(pauseMs * Math.random())
  }
  process.send('done')
})
process.on('disconnect', () => process.exit(0))
process.send('ready')
