import { OpenFeature, ProviderEvents } from '@openfeature/server-sdk'
import type { Client } from '@openfeature/server-sdk'
import {
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest'
import { FileProvider } from '../../src/flags/index.ts'
import type { FlagsEvent } from '../../src/flags/index.ts'
import { FlagsFile, useRedis } from '../support/flags-files.ts'
import { until } from '../support/flags-providers.ts'

let domains = 0
let file: FlagsFile
let events: FlagsEvent[]
const open: FileProvider[] = []

beforeEach(() => {
  file = new FlagsFile()
  events = []
})
afterEach(async () => {
  await Promise.all(open.splice(0).map((provider) => provider.onClose()))
  file[Symbol.dispose]()
})
afterAll(() => OpenFeature.clearProviders())

async function clientOf(path: string = file.path): Promise<Client> {
  const provider = new FileProvider({ path, onEvent: (event) => events.push(event) })
  open.push(provider)
  const domain = `file-${++domains}`
  await OpenFeature.setProviderAndWait(domain, provider).catch(() => {})
  return OpenFeature.getClient(domain)
}

const value = (client: Client): Promise<boolean> =>
  client.getBooleanValue('use-redis', false, { targetingKey: 'user_1' })

describe('a change is seen', () => {
  it('when an editor renames over the file, and is announced', async () => {
    file.write(useRedis(0))
    const client = await clientOf()
    const changes: unknown[] = []
    client.addHandler(ProviderEvents.ConfigurationChanged, (details) => {
      changes.push(details?.flagsChanged)
    })
    expect(await value(client)).toBe(false)
    file.write(useRedis(100))
    await until(() => value(client))
    expect(changes).toEqual([['use-redis']])
    // The same content again is no change.
    file.write(useRedis(100))
    await new Promise((resolve) => setTimeout(resolve, 400))
    expect(changes).toHaveLength(1)
  })

  it('when it is written in place, in two parts', async () => {
    file.write(useRedis(0))
    const client = await clientOf()
    const text = JSON.stringify(useRedis(100))
    writeFileSync(file.path, text.slice(0, 40))
    await until(() => events.some(({ message }) => message.includes('not JSON')))
    expect(await value(client)).toBe(false)
    writeFileSync(file.path, text)
    await until(() => value(client))
  })

  it('without an alarm when it is saved in place', async () => {
    file.write(useRedis(0))
    const client = await clientOf()
    for (const share of [100, 0, 100, 0, 100]) {
      truncateSync(file.path)
      await new Promise((resolve) => setTimeout(resolve, 5))
      writeFileSync(file.path, JSON.stringify(useRedis(share)))
      await until(async () => (await value(client)) === (share === 100))
    }
    expect(events).toEqual([])
  })

  it('when an older file is put back', async () => {
    file.write(useRedis(0))
    const client = await clientOf()
    const backup = join(file.directory, 'backup')
    writeFileSync(backup, JSON.stringify(useRedis(100)))
    utimesSync(backup, 1, 1)
    renameSync(backup, file.path)
    await until(() => value(client))
  })

  it('when it is deleted, and made anew much later', async () => {
    file.write(useRedis(100))
    const client = await clientOf()
    rmSync(file.path)
    await until(() => client.providerStatus === 'STALE')
    expect(await value(client)).toBe(true)
    file.write(useRedis(0))
    await until(async () => !(await value(client)))
    expect(client.providerStatus).toBe('READY')
  })

  it('when a symlink is swapped, twice', async () => {
    // As Kubernetes swaps a ConfigMap: flags.json -> ..data/flags.json, ..data -> a version.
    const link = join(file.directory, '..data')
    const swapTo = (version: string, share: number): void => {
      mkdirSync(join(file.directory, version))
      writeFileSync(join(file.directory, version, 'flags.json'), JSON.stringify(useRedis(share)))
      symlinkSync(version, `${link}_tmp`)
      renameSync(`${link}_tmp`, link)
    }
    swapTo('v1', 0)
    symlinkSync('..data/flags.json', file.path)
    const client = await clientOf()
    expect(await value(client)).toBe(false)
    swapTo('v2', 100)
    await until(() => value(client))
    swapTo('v3', 0)
    await until(async () => !(await value(client)))
  })
})

describe('content that flagd refuses changes nothing', () => {
  const variants = { on: true, off: false }
  it.each([
    ['empty', ''],
    ['cut off', '{"flags":'],
    ['with a byte order mark', `\uFEFF${JSON.stringify(useRedis(0))}`],
    ['{}', '{}'],
    ['a list', '[]'],
    ['null', 'null'],
    ['flags of another type', '{"flags":"x"}'],
    ['without variants', { flags: { 'use-redis': { state: 'ENABLED', defaultVariant: 'off' } } }],
    [
      'with a wrong defaultVariant in another flag',
      {
        flags: {
          ...(useRedis(0) as { flags: object }).flags,
          other: { state: 'ENABLED', variants, defaultVariant: 'nope' },
        },
      },
    ],
  ])('%s', async (_, content) => {
    file.write(useRedis(100))
    const client = await clientOf()
    file.write(content)
    await until(() => events.length > 0)
    expect(events).toHaveLength(1)
    expect(events[0]).toMatchObject({ level: 'warn' })
    expect(events[0]?.message).toContain('the last good flags stay')
    expect(await value(client)).toBe(true)
    expect(client.providerStatus).toBe('STALE')
    // Mended, it is good again without a restart.
    file.write(useRedis(0))
    await until(async () => !(await value(client)))
    expect(client.providerStatus).toBe('READY')
  })

  it('takes no flags at all for what it says', async () => {
    file.write(useRedis(100))
    const client = await clientOf()
    file.write({ flags: {} })
    await until(async () => !(await value(client)))
    expect(await client.getBooleanDetails('use-redis', false)).toMatchObject({
      errorCode: 'FLAG_NOT_FOUND',
    })
  })
})

describe('a bad start', () => {
  it.each([
    ['no file', undefined],
    ['a broken file', '{'],
  ])('with %s is recovered from', async (_, content) => {
    if (content !== undefined) file.write(content)
    const client = await clientOf()
    expect(client.providerStatus).toBe('ERROR')
    expect(await value(client)).toBe(false)
    file.write(useRedis(100))
    await until(() => value(client))
    expect(client.providerStatus).toBe('READY')
    file.write(useRedis(0))
    await until(async () => !(await value(client)))
  })

  it('with no directory is recovered from', async () => {
    const later = join(file.directory, 'later')
    const client = await clientOf(join(later, 'flags.json'))
    mkdirSync(later)
    writeFileSync(join(later, 'flags.json'), JSON.stringify(useRedis(100)))
    await until(() => value(client))
  })
})
