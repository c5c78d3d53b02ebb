import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { startSidecar } from '../../src/sidecar/index.ts'
import type { SidecarLogEntry } from '../../src/sidecar/index.ts'
import { FREE, flagsFixture, until } from '../support/flagd-server.ts'
import { syncStream } from '../support/flagd-streams.ts'

const flag = { state: 'ENABLED', variants: { on: true, off: false }, defaultVariant: 'on' }
const none = { [Symbol.asyncDispose]: (): Promise<void> => Promise.resolve() }

test('started with an invalid file: the sync port waits, then sends no flags', async () => {
  using fixture = flagsFixture('{')
  await using sidecar = await startSidecar({ file: fixture.file, ports: FREE, syncPatience: 50 })
  using sync = syncStream({ host: '127.0.0.1', ports: sidecar.ports, ...none })
  expect(await sync.next(0)).toEqual({ flags: {} })
})

test('one invalid file of two: the sync port waits for both', async () => {
  using fixture = flagsFixture({ flags: { a: flag } })
  const second = join(fixture.directory, 'more.json')
  writeFileSync(second, '{')
  await using sidecar = await startSidecar({
    file: [fixture.file, second],
    ports: FREE,
    syncPatience: 600_000,
  })
  using sync = syncStream({ host: '127.0.0.1', ports: sidecar.ports, ...none })
  writeFileSync(second, JSON.stringify({ flags: { b: flag } }))
  expect(await sync.next(0)).toEqual({
    flags: { a: { ...flag, source: fixture.file }, b: { ...flag, source: second } },
  })
})

test('a file whose name flagd does not read is refused', async () => {
  using fixture = flagsFixture({ flags: { a: flag } })
  const path = join(fixture.directory, 'flags.txt')
  writeFileSync(path, JSON.stringify({ flags: { a: flag } }))
  const log: SidecarLogEntry[] = []
  await using _sidecar = await startSidecar({
    file: path,
    ports: FREE,
    onLog: (entry) => log.push(entry),
  })
  await until('it says so', () => log.length > 0)
  expect(log).toEqual([
    {
      level: 'error',
      message:
        '"flags.txt" is not named *.json, *.yaml or *.yml, the only files that flagd reads; no flags are served from it until it is corrected',
    },
  ])
})
