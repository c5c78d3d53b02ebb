import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { readFile, writeFile } from 'node:fs/promises'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { controlsOf, createSwitch, type Switched } from '../../src/calls/index.ts'
import type { ControlState } from '../../src/control/index.ts'
import { flagsFromEnvironment, type FlagsSource } from '../../src/flags/index.ts'
import { createTelemetry, type Telemetry } from '../../src/telemetry/index.ts'
import { launchBrowser, openPage, shows, textOf, type WatchedPage } from '../support/browser.ts'
import { type ControlApp, startControlApp } from '../support/control-app.ts'
import { startRoom, type TestRoom, until } from '../support/control-room.ts'

interface Search {
  find(query: string): Promise<string>
}

let browser: Browser
let app: ControlApp
let room: TestRoom
let source: FlagsSource
let opened: Switched<Search>[]
let traffic: NodeJS.Timeout
let mailFails = false
/** The metrics of a process that has a switch and no cache. */
let alone: Telemetry
let flagsAreUp = true
let onlySwitch: Server

/** Both flags beside that of the cache, at the same share. */
async function addFlags(file: string, share: number): Promise<void> {
  const { flags } = JSON.parse(await readFile(file, 'utf8')) as { flags: Record<string, object> }
  const rule = {
    fractional: [
      ['on', share],
      ['off', 100 - share],
    ],
  }
  const flag = { state: 'ENABLED', variants: { on: true, off: false }, defaultVariant: 'off' }
  const more = {
    'use-opensearch': { ...flag, targeting: rule },
    'use-mail': { ...flag, targeting: rule },
  }
  await writeFile(file, JSON.stringify({ flags: { ...flags, ...more } }, undefined, 2))
}

async function sharesIn(file: string): Promise<Record<string, unknown>> {
  const { flags } = JSON.parse(await readFile(file, 'utf8')) as {
    flags: Record<string, { targeting: { fractional: unknown[][] } }>
  }
  const share = (flag: string): unknown =>
    flags[flag]!.targeting.fractional.find(([variant]) => variant === 'on')?.[1]
  return { cache: share('use-redis'), search: share('use-opensearch'), mail: share('use-mail') }
}

beforeAll(async () => {
  app = await startControlApp()
  room = await startRoom({ replicas: [app.url], share: 10 })
  await addFlags(room.file, 50)
  app.follows = room.file
  source = await flagsFromEnvironment({
    FLAGD_RESOLVER: 'file',
    FLAGD_OFFLINE_FLAG_SOURCE_PATH: room.file,
  })
  alone = createTelemetry({ meter: false })
  onlySwitch = createServer((_request, response) => {
    const text = alone.prometheus()
    response.end(flagsAreUp ? text : text.replace(/^(switchback_flags_up\{.*\}) 1$/m, '$1 0'))
  })
  await new Promise<void>((resolve) => onlySwitch.listen(0, '127.0.0.1', resolve))
  const make = (telemetry: Telemetry, name: string, flag: string, on: Search): Switched<Search> =>
    createSwitch<Search>({
      name,
      flag,
      flags: source,
      off: { find: (query) => Promise.resolve(query) },
      on,
      names: { off: 'elastic', on: 'opensearch' },
      methods: { find: { kind: 'read', fallback: true, compare: { share: 1 } } },
      telemetry,
      onEvent: () => {},
    })
  const { telemetry } = app
  opened = [
    make(telemetry, 'search', 'use-opensearch', { find: (query) => Promise.resolve(`${query}?`) }),
    make(telemetry, 'mail', 'use-mail', {
      find: (query) => (mailFails ? Promise.reject(new Error('no')) : Promise.resolve(query)),
    }),
    make(alone, 'search', 'use-opensearch', { find: (query) => Promise.resolve(query) }),
  ]
  let call = 0
  traffic = setInterval(() => {
    for (const each of opened) {
      const context = { targetingKey: `user_${call++ % 50}` }
      void controlsOf(each).for(context).find('a')
    }
  }, 10)
  browser = await launchBrowser()
})
afterAll(async () => {
  clearInterval(traffic)
  await browser?.close()
  for (const each of opened ?? []) await controlsOf(each).close()
  await source?.close()
  alone?.close()
  onlySwitch?.closeAllConnections()
  onlySwitch?.close()
  await room?.[Symbol.asyncDispose]()
  await app?.[Symbol.asyncDispose]()
})

const search = '[data-switch=search]'
const mail = '[data-switch=mail]'

function table(page: Page, of: string): Promise<string> {
  return textOf(page, `${of} tbody`)
}

test('each switch has its flag, its numbers and its way back; one goes back, the others stay', async () => {
  await using page = await openPage(browser, room.url)
  const { page: tab } = page
  await shows(
    tab,
    search,
    /search, flag use-opensearch\s+Roll back|use-opensearch[^]*50 % opensearch \(new side\)/,
  )
  await shows(tab, search, /1 of 1 process decide it/)
  await shows(tab, `${search} tbody`, /find, opensearch \(new side\)\s+[1-9]/)
  // Every comparison of the search differs, of the mail none.
  await shows(tab, `${search} tbody`, /100 %\s/)
  await shows(tab, `${mail} tbody`, /find, opensearch \(new side\)\s+[1-9]/)
  expect(await table(tab, mail)).not.toContain('100 %')

  await tab.click(`${search} button`)
  await shows(tab, `${search} .outcome`, /^Back: 50 % → 0 %, and all confirm it\.$/)
  expect(await sharesIn(room.file)).toEqual({ cache: 10, search: 0, mail: 50 })
  await shows(tab, search, /0 % opensearch \(new side\)/)
  await shows(tab, mail, /50 % opensearch \(new side\)/)
  await shows(tab, '#share-on', /^10 % new side$/)

  mailFails = true
  await shows(tab, '#findings, #headline', /Switch mail: /)
  mailFails = false
})

test('a flag that no switch reports is not rolled back from here', async () => {
  const response = await room.post('/api/rollback', { flag: 'somebody-elses' })
  expect([response.status, await response.json()]).toEqual([
    409,
    expect.objectContaining({ code: 'SB_FLAG_UNKNOWN' }),
  ])
  await until('both are known', async () => {
    const { switches } = await room.get<ControlState>('/api/state')
    return switches.length === 2
  })
})

describe('a process with a switch and no cache', () => {
  const replicas = (): string[] => {
    const { port } = onlySwitch.address() as AddressInfo
    return [`http://127.0.0.1:${port}/metrics`]
  }

  let own: TestRoom
  let page: WatchedPage
  beforeAll(async () => {
    own = await startRoom({ replicas: replicas(), flag: 'use-opensearch' })
    // The switch follows the file of the first room, which was rolled back.
    await addFlags(room.file, 50)
    await addFlags(own.file, 50)
    page = await openPage(browser, own.url)
  })
  afterAll(async () => {
    await page?.[Symbol.asyncDispose]()
    await own?.[Symbol.asyncDispose]()
  })

  test('the cards of its flag show the switch: split, both sides, charts, processes', async () => {
    const { page: tab } = page
    await shows(tab, '#share-on', /^50 % opensearch \(new side\)$/)
    await shows(tab, '#serving', /1 of 1 process decide it\s+operations on the new side\s+[1-9]/i)
    await shows(tab, '#sides', /opensearch \(new side\)\s+elastic \(old side\)/)
    await shows(tab, '#sides tbody', /operations \/ s\s+[1-9]\S*\s+[1-9]/)
    expect(await textOf(tab, '#sides')).not.toContain('hit rate')
    expect(await textOf(tab, '#charts')).not.toContain('Hit rate')
    await shows(tab, '#charts', /Operations a second\s+new [1-9]\S*\s+old [1-9]/)
    expect(await textOf(tab, '#beneath')).not.toContain('pending')
    await shows(tab, '#headline', /^Healthy: both sides answer, .* the process decides it$/)
    await shows(tab, '#switches-title', /^Switches of these processes/)
  })

  test('that its flag source is gone, and that it is back, is told with the time', async () => {
    const { page: tab } = page
    await shows(tab, '#beneath', /flags of the processes\s+reached/)
    flagsAreUp = false
    await shows(tab, '#headline', /does not reach the source of its flags since \d\d:\d\d:\d\d UTC/)
    await shows(tab, '#beneath', /1 of 1 without since \d\d:\d\d:\d\d UTC: 127\.0\.0\.1:\d+/)
    flagsAreUp = true
    await shows(
      tab,
      '#beneath',
      /reached again since \d\d:\d\d:\d\d UTC; \S+ was without for \d+ s/,
    )
    await shows(tab, '#headline', /^Healthy: /)
  })

  test('a page for a flag that nothing there uses says which one to name', async () => {
    await using own = await startRoom({ replicas: replicas() })
    await until('it names the flag', async () => {
      const { headline } = await own.get<ControlState>('/api/state')
      return headline.findings.some(({ sentence }) =>
        /Nothing in these processes uses use-redis; .* --flag use-opensearch$/.test(sentence),
      )
    })
  })
})
