import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { fileCache } from '../../src/cache/index.ts'
import { ControlFile } from '../../src/cache/file/ledger/control-file.ts'
import { openSqlite } from '../../src/cache/file/sqlite/sqlite.ts'
import { FileStand } from '../support/file-peers.ts'
import { findingsOf } from './doctor-findings.ts'

/** What the doctor says about this directory: `state: text`. */
async function examine(directory: string): Promise<readonly string[]> {
  const findings = await findingsOf('--cache-dir', directory)
  return findings
    .filter(({ check }) => check === 'file cache')
    .map(({ state, text: said }) => `${state}: ${said?.replaceAll(directory, '.')}`)
}

test('the doctor looks into the file cache, and leaves it as it is', async (context) => {
  const { directory } = new FileStand(context)
  expect(await examine(join(directory, 'none'))).toEqual(['skipped: . has no file cache yet'])

  const cache = fileCache({ directory })
  await cache.invalidate('k', { within: 1000 })
  const sound = 'ok: ./cache.db keeps tombstones for 120 s: loads of more than 60 s are not stored'
  expect(await examine(directory)).toEqual([sound])

  await cache.ledger.owe('on', 'k', 0)
  const pending = 'warning: 1 invalidations are pending for the new side'
  expect(await examine(directory)).toEqual([sound, pending])
  await cache.ledger.fence('off', Date.now() + 600_000)
  expect(await examine(directory)).toEqual([
    sound,
    expect.stringMatching(/^warning: the old side is distrusted up to (600|599) s ahead of this/u),
    pending,
  ])
  new ControlFile(join(directory, 'cache.control'), false).distrust('off')
  const distrusted =
    'warning: nothing of the old side is used until an application process has reached it'
  expect(await examine(directory)).toEqual([sound, distrusted, pending])
  await cache.close()

  rmSync(join(directory, 'cache.control'))
  expect(await examine(directory)).toEqual([sound, pending])
  expect(readdirSync(directory)).not.toContain('cache.control')
})

test('the doctor tells a short tombstone lifetime, a clock that was set back, and other machines', async (context) => {
  const { directory } = new FileStand(context)
  const cache = fileCache({ directory, tombstoneTtl: 4000 })
  const now = Date.now.bind(Date)
  const clock = vi.spyOn(Date, 'now').mockImplementation(() => now() + 3_600_000)
  await cache.invalidate('k', { within: 1000 })
  clock.mockRestore()
  const short =
    'warning: ./cache.db keeps tombstones for 4 s: loads of more than 2 s are not stored'
  expect(await examine(directory)).toEqual([
    short,
    expect.stringMatching(/^warning: this host's clock was set back by 3\d{3}\.\d s since /u),
  ])
  await cache.close()
  const database = openSqlite(join(directory, 'cache.db'))
  database.exec("UPDATE meta SET former_boots = boot_id, boot_id = 'another'")
  expect((await examine(directory))[0]).toBe(
    "problem: another machine uses ./cache.db: this one's boot id was replaced and is here again",
  )
  database.exec("UPDATE meta SET former_boots = ''")
  expect(await examine(directory)).toEqual([
    'ok: ./cache.db is from before this machine was restarted: the application will reset it',
  ])
  database.exec('UPDATE meta SET version = 1')
  expect(await examine(directory)).toEqual([
    'ok: an older version of Switchback made ./cache.db: the application will reset it',
  ])
  database.exec('UPDATE meta SET version = 1000')
  expect(await examine(directory)).toEqual([
    'problem: a newer version of Switchback made ./cache.db; this version does not use it',
  ])
  database.close()

  mkdirSync(join(directory, 'odd.db'))
  expect(await examine(directory)).toEqual([
    expect.stringMatching(/^problem: \. cannot be read: /u),
  ])
})
