import { readFile, rename, writeFile } from 'node:fs/promises'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import type { ControlHistory, ControlState } from '../../src/control/index.ts'
import { flagsActuator } from '../../src/guard/index.ts'
import { readHistory } from '../../src/rollout/index.ts'
import { launchBrowser, openPage, shows } from '../support/browser.ts'
import { shareIn, startRoom, type TestRoom, until } from '../support/control-room.ts'

/** As `$EDITOR` does. */
async function edit(file: string, change: (text: string) => string): Promise<void> {
  await writeFile(`${file}.new`, change(await readFile(file, 'utf8')))
  await rename(`${file}.new`, file)
}

const share =
  (on: number) =>
  (text: string): string =>
    text.replace(/\["on", \d+\], \["off", \d+\]/, `["on", ${on}], ["off", ${100 - on}]`)

const swap = (text: string): string =>
  text.replace(/(\["on", \d+\]), (\["off", \d+\])/, (_, on: string, off: string) => `${off}, ${on}`)

async function last(room: TestRoom): Promise<ControlHistory[number] | undefined> {
  return (await room.get<ControlHistory>('/api/history')).at(-1)
}

test('an edit by hand is in the history at once, beside a guard too, and undone from here', async () => {
  await using room = await startRoom({ share: 50 })
  const { file } = room
  const guard = flagsActuator({ file, flag: 'use-redis', flagd: false })
  expect(await guard.read()).toMatchObject({ percent: 50, edited: '' })
  await edit(file, share(30))
  const watching = (async () => {
    for (let polls = 0; polls < 10; polls++) await guard.read()
  })()
  await until('it is told', async () => (await last(room))?.to === 30)
  await watching
  expect(await last(room)).toMatchObject({ action: 'outside', from: 50, to: 30, warning: '' })
  await until('the state tells it', async () => {
    const { edited } = (await room.get<ControlState>('/api/state')).flag
    return edited?.warning === '' && edited.unwritten === ''
  })
  expect((await readHistory(file)).map(({ action }) => action)).toEqual(['outside'])
  expect((await room.post('/api/undo')).status).toBe(200)
  expect(await shareIn(file)).toBe(50)
  expect(await last(room)).toMatchObject({ action: 'undo', from: 30, to: 50 })
  expect((await room.get<ControlState>('/api/state')).flag.edited).toBeNull()
})

test('entries that were swapped are trouble for the page and for the guard, until it is undone', async () => {
  await using room = await startRoom({ share: 50 })
  const { file } = room
  const guard = flagsActuator({ file, flag: 'use-redis', flagd: false })
  await guard.read()
  await edit(file, swap)
  const headline = async (): Promise<ControlState['headline']> =>
    (await room.get<ControlState>('/api/state')).headline
  await until('trouble', async () =>
    (await headline()).findings.some(
      ({ level, sentence }) =>
        level === 'trouble' && /edited by hand.*left the new side/.test(sentence),
    ),
  )
  const { edited } = await guard.read()
  expect(edited).toMatch(/left the new side although its share did not change \(line \d+: /)
  expect((await last(room))?.warning).toBe(edited)
  await room.post('/api/undo')
  expect((await guard.read()).edited).toBe('')
  expect((await headline()).findings.some(({ sentence }) => /by hand/.test(sentence))).toBe(false)
})

test('a file that flagd refuses is trouble, and rolling back tells how to go back all the same', async () => {
  await using room = await startRoom({ share: 50 })
  await edit(room.file, (text) => text.replace('"use-redis": {', '"other": 5, "use-redis": {'))
  await until('trouble', async () =>
    (await room.get<ControlState>('/api/state')).headline.findings.some(
      ({ level, sentence }) => level === 'trouble' && /flagd refuses/.test(sentence),
    ),
  )
  const refused = await room.post('/api/rollback')
  expect(refused.status).toBe(409)
  expect(await refused.text()).toMatch(/nothing was written.*(echo|rollback --restore)/)
  await edit(room.file, (text) => text.replace('"other": 5, ', ''))
  await until('well', async () => (await room.get<ControlState>('/api/state')).flag.error === null)
})

test('a guard that only watches writes nothing', async () => {
  await using room = await startRoom({ share: 50 })
  // The room itself would write it down.
  const file = `${room.file}.copy.json`
  await writeFile(file, await readFile(room.file))
  const guard = flagsActuator({ file, flag: 'use-redis', flagd: false, record: false })
  await guard.read()
  await edit(file, swap)
  expect((await guard.read()).edited).toMatch(/left the new side/)
  expect(await readHistory(file)).toEqual([])
})

test('the page shows it as the last change, and one click takes it back', async () => {
  await using room = await startRoom({ share: 50 })
  const browser = await launchBrowser()
  try {
    await using opened = await openPage(browser, room.url)
    const { page, complaints } = opened
    await edit(room.file, share(30))
    await shows(page, '#last', /Edited by hand: 50 % → 30 %\s[^]*with an editor or another tool/)
    await shows(page, '#history li', /Edited by hand: 50 % → 30 %/)
    await edit(room.file, swap)
    await shows(page, '#last', /Edited by hand, still 30 %[^]*Warning: of 1,000 sample users/)
    await page.waitForSelector('body[data-level=trouble]')
    await page.click('text=Undo this change')
    await shows(page, '#last', /Undone: 30 % → 30 %/)
    expect(await readFile(room.file, 'utf8')).toContain('[["on", 30], ["off", 70]]')
    expect(complaints).toEqual([])
  } finally {
    await browser.close()
  }
})

test('what is served of a flag that flagd refuses cannot be told, and ends nothing', async () => {
  await using room = await startRoom({ share: 50 })
  const { file } = room
  const processes = { metrics: ['http://127.0.0.1:1/metrics'] }
  const ask = { file, flag: 'use-redis', flagd: 'http://127.0.0.1:1', processes }
  const guard = flagsActuator(ask)
  const lost: unknown[] = []
  const note = (reason: unknown): void => void lost.push(reason)
  process.on('unhandledRejection', note)
  try {
    await edit(file, (text) => text.replace('"defaultVariant": "off"', '"defaultVariant": "zz"'))
    await expect(guard.served()).rejects.toMatchObject({ code: 'SB_FLAGS_INVALID' })
    await nextTurn()
    expect(lost).toEqual([])
  } finally {
    process.off('unhandledRejection', note)
  }
})
