// A flags file and the share in it. A service has the same from flagd; the file is what `switchback set` edits.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { flagsFromEnvironment } from 'openfeature-switchback'

const USERS = Array.from({ length: 100 }, (_, i) => `user_${i}`)

export async function openFlags(flag) {
  const directory = await mkdtemp(join(tmpdir(), 'switchback-example-'))
  const file = join(directory, 'flags.json')
  const write = (on) => {
    const targeting = {
      fractional: [
        ['on', on],
        ['off', 100 - on],
      ],
    }
    const variants = { on: true, off: false }
    const flags = { [flag]: { state: 'ENABLED', variants, defaultVariant: 'off', targeting } }
    return writeFile(file, JSON.stringify({ flags }))
  }
  await write(0)
  const source = await flagsFromEnvironment({
    FLAGD_RESOLVER: 'file',
    FLAGD_OFFLINE_FLAG_SOURCE_PATH: file,
  })
  const client = source.client()
  const moved = async () => {
    const asked = USERS.map((user) => client.getBooleanValue(flag, false, { targetingKey: user }))
    return (await Promise.all(asked)).filter(Boolean).length
  }
  return {
    source,
    users: USERS,
    /** Resolves when this process decides so. */
    async share(percent) {
      const before = await moved()
      await write(percent)
      const target = (on) => (percent === 0 || percent === 100 ? on === percent : on !== before)
      while (!target(await moved())) await sleep(20)
    },
    async close() {
      await source.close()
      await rm(directory, { recursive: true, force: true })
    },
  }
}
