import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { apply } from '../../src/rollout/file/apply.ts'
import {
  changeBack,
  changePilot,
  changeShare,
  changeUndo,
  editedOutside,
  findOutside,
  historyFile,
  lastGoodFile,
  type HistoryEntry,
  HistoryWatch,
  loadFlags,
  readHistory,
  setShare,
} from '../../src/rollout/index.ts'
import { flagsFile, onWeight, usual } from './support.ts'

const flag = 'use-redis'
const by = { who: 'ann@test', via: 'cli' }

function set(file: string, percent: number): Promise<unknown> {
  return changeShare({ file, flag, by, percent, flagd: false })
}

/** As an editor saves: another file renamed over it. */
async function edit(file: string, change: (text: string) => string): Promise<void> {
  await writeFile(`${file}.new`, change(await readFile(file, 'utf8')))
  await rename(`${file}.new`, file)
}

const share =
  (on: number) =>
  (text: string): string =>
    text.replace(/\["on", \d+\], \["off", \d+\]/, `["on", ${on}], ["off", ${100 - on}]`)

async function look(watch: HistoryWatch, file: string): Promise<readonly HistoryEntry[]> {
  return (await watch.look(await loadFlags(file))).entries
}

function told(entries: readonly HistoryEntry[]): unknown[] {
  return entries.map(({ action, from, to }) => [action, from, to])
}

/** Each line begins where the one before it ended: nothing is missing, and nothing stands twice. */
function expectChain(entries: readonly HistoryEntry[]): void {
  for (const [index, entry] of entries.entries()) {
    if (index > 0) expect(entry.before).toBe(entries[index - 1]?.after)
  }
}

describe('an edit by hand', () => {
  it('is one line of the history with both shares, however many watch the file', async () => {
    const file = await flagsFile()
    await set(file, 95)
    const watches = Array.from({ length: 5 }, () => new HistoryWatch({ file }))
    for (const watch of watches) await look(watch, file)
    await edit(file, share(70))
    const seen = await Promise.all(watches.map((watch) => look(watch, file)))
    const written = await readHistory(file)
    expect(told(written)).toEqual([
      ['set', 10, 95],
      ['outside', 95, 70],
    ])
    expectChain(written)
    expect(editedOutside(written, flag)).toMatchObject({ flag, who: 'unknown', via: 'outside' })
    expect(editedOutside(written, flag)?.warning).toBeUndefined()
    for (const watch of watches) expect(await look(watch, file)).toEqual(written)
    for (const entries of seen) expect(written).toEqual(expect.arrayContaining([...entries]))
  })

  it('is seen where no history is yet', async () => {
    const file = await flagsFile()
    const watches = [new HistoryWatch({ file }), new HistoryWatch({ file })]
    for (const watch of watches) expect(await look(watch, file)).toEqual([])
    await edit(file, share(30))
    for (const watch of watches) await look(watch, file)
    expect(told(await readHistory(file))).toEqual([['outside', 10, 30]])
  })

  it('is undone like any other change', async () => {
    const file = await flagsFile()
    await set(file, 95)
    await edit(file, share(70))
    // Nobody has written it down before.
    await changeUndo({ file, flag, by, flagd: false })
    expect(await onWeight(file)).toBe(95)
    const written = await readHistory(file)
    expect(told(written)).toEqual([
      ['set', 10, 95],
      ['outside', 95, 70],
      ['undo', 70, 95],
    ])
    expectChain(written)
    await changeUndo({ file, flag, by, flagd: false })
    expect(await onWeight(file)).toBe(10)
  })

  it('keeps the names of users out of the history, and is undone all the same', async () => {
    const file = await flagsFile()
    const ann = { attribute: 'email', values: ['ann@example.com'] }
    await changePilot({ file, flag, by, flagd: false, ...ann })
    const before = await readFile(file, 'utf8')
    await edit(file, (text) => text.replace('ann@example.com', 'bob@example.com'))
    await look(new HistoryWatch({ file }), file)
    const history = await readFile(historyFile(file), 'utf8')
    expect(history).toContain('"outside"')
    expect(history).not.toContain('@example.com')
    await changeUndo({ file, flag, by, flagd: false })
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual(JSON.parse(before))
    expect(await readFile(historyFile(file), 'utf8')).not.toContain('@example.com')
  })

  it('says so when the text before is not known any more', async () => {
    const file = await flagsFile()
    await changePilot({ file, flag, by, flagd: false, attribute: 'email', values: ['a@b.c'] })
    const watch = new HistoryWatch({ file })
    for (const name of ['b@b.c', 'c@b.c']) {
      await edit(file, (text) => text.replace(/.@b\.c/, name))
      await look(watch, file)
    }
    await expect(changeUndo({ file, flag, by, flagd: false })).rejects.toMatchObject({
      code: 'SB_UNDO_UNKNOWN',
    })
  })

  it('of other flags is no change of this one', async () => {
    const other = `"other": { "state": "ENABLED", "variants": { "on": true, "off": false } },\n    "use-redis": {`
    const file = await flagsFile(usual.replace('"use-redis": {', other))
    await set(file, 20)
    await edit(file, (text) => text.replace('"ENABLED"', '"DISABLED"'))
    await edit(file, (text) => `${text}\n`)
    const entries = await look(new HistoryWatch({ file }), file)
    expect(entries.map((entry) => entry.flag)).toEqual([flag, 'other'])
    expect(editedOutside(entries, flag)).toBeUndefined()
    await edit(file, (text) => `${text}\n`)
    const more = await look(new HistoryWatch({ file }), file)
    // What the file was before this one is not known: it may have changed any flag.
    expect(more.at(-1)).toMatchObject({ action: 'outside', flag: '' })
  })

  it('that cannot be written down is told by whoever saw it', async () => {
    const file = await flagsFile()
    await mkdir(historyFile(file))
    const watch = new HistoryWatch({ file })
    await look(watch, file)
    for (const on of [30, 40]) {
      await edit(file, share(on))
      await look(watch, file)
    }
    const { entries, unwritten } = await watch.look(await loadFlags(file))
    expect(told(entries)).toEqual([
      ['outside', 10, 30],
      ['outside', 30, 40],
    ])
    expect(unwritten).not.toBe('')
  })

  it('is only told by a watch that shall write nothing', async () => {
    const file = await flagsFile()
    await set(file, 20)
    const watch = new HistoryWatch({ file, record: false })
    await edit(file, share(30))
    expect(told(await look(watch, file))).toEqual([
      ['set', 10, 20],
      ['outside', 20, 30],
    ])
    expect(told(await readHistory(file))).toEqual([['set', 10, 20]])
    expect(told(await findOutside({ file, document: await loadFlags(file) }))).toEqual([
      ['outside', 20, 30],
    ])
  })
})

describe('a command', () => {
  it('is never taken for an edit by hand: not between its rename and its line in the history', async () => {
    const file = await flagsFile()
    const watch = new HistoryWatch({ file })
    await look(watch, file)
    for (const percent of [20, 30]) {
      const looks: Promise<unknown>[] = []
      const seen = { renamed: false }
      const change = setShare(await loadFlags(file), { flag, percent })
      await apply(change, {
        file,
        by,
        onStep(step) {
          // The file is new here, and the history does not know it.
          if (step !== 'history') return
          seen.renamed = true
          for (const each of [watch, new HistoryWatch({ file })]) {
            looks.push(each.look(change.after))
          }
        },
      })
      expect(seen.renamed).toBe(true)
      await Promise.all(looks)
    }
    expect(told(await readHistory(file))).toEqual([
      ['set', 10, 20],
      ['set', 20, 30],
    ])
  })

  it('and edits by hand among many watchers: each is told once, in order', async () => {
    const file = await flagsFile()
    await set(file, 50)
    const over = new AbortController()
    const watching = Array.from({ length: 4 }, async () => {
      const watch = new HistoryWatch({ file })
      while (!over.signal.aborted) await look(watch, file)
    })
    const seen = new HistoryWatch({ file })
    for (let round = 0; round < 8; round++) {
      await changeShare({ file, flag, by, percent: 10 + round, flagd: false, insist: true })
      await edit(file, share(60 + round))
      for (;;) {
        const entries = await look(seen, file)
        if (editedOutside(entries, flag)?.to === 60 + round) break
      }
    }
    over.abort()
    await Promise.all(watching)
    const written = await readHistory(file)
    expectChain(written)
    const rounds = Array.from({ length: 8 }, (_, round) => round)
    expect(told(written)).toEqual([
      ['set', 10, 50],
      ...rounds.flatMap((round) => [
        ['set', round === 0 ? 50 : 59 + round, 10 + round],
        ['outside', 10 + round, 60 + round],
      ]),
    ])
  })
})

describe('an edit by hand that breaks the rule', () => {
  it('is undone behind the rollback that disabled the flag for it, to the last text that worked', async () => {
    const file = await flagsFile()
    await set(file, 40)
    const good = await readFile(file, 'utf8')
    await edit(file, (text) => text.replace('["on", 40]', '["onn", 40]'))
    const { edit: back } = await changeBack({ file, flag, by, flagd: false })
    expect(back.because).toContain('its split is not between')
    expect(await readFile(lastGoodFile(file), 'utf8')).toBe(good)
    await changeUndo({ file, flag, by, flagd: false })
    await changeUndo({ file, flag, by, flagd: false })
    expect(await readFile(file, 'utf8')).toBe(good)
  })
})

describe('an edit by hand that moves users who should stay', () => {
  const split = '"fractional": [["on", 10], ["off", 90]]'
  const half = '"fractional": [["on", 50], ["off", 50]]'

  it.each([
    ['entries swapped', half, '"fractional": [["off", 50], ["on", 50]]', /entries changed/],
    ['another bucketing key', half, half.replace('[[', '[{ "var": "email" }, ['), /bucket/],
    ['swapped while it grows', split, '"fractional": [["off", 75], ["on", 25]]', /share grew/],
  ])('is warned of: %s', async (_, before, after, words) => {
    const file = await flagsFile(usual.replace(split, before))
    const watch = new HistoryWatch({ file })
    await look(watch, file)
    await edit(file, (text) => text.replace(before, after))
    const entries = await look(watch, file)
    expect(editedOutside(entries, flag)?.warning).toMatch(words)
    expect(editedOutside(entries, flag)?.warning).toMatch(/left the new side/)
    // Also for who reads the history later.
    expect((await readHistory(file)).at(-1)?.warning).toMatch(words)
  })

  it.each([
    ['wider', split, half],
    ['narrower', half, split],
    ['other weights of the same share', half, '"fractional": [["on", 1], ["off", 1]]'],
    ['everybody', split, '"fractional": [["on", 1], ["off", 0]]'],
  ])('and no other: %s', async (_, before, after) => {
    const file = await flagsFile(usual.replace(split, before))
    const watch = new HistoryWatch({ file })
    await look(watch, file)
    await edit(file, (text) => text.replace(before, after))
    const entries = await look(watch, file)
    expect(editedOutside(entries, flag)).toMatchObject({ action: 'outside' })
    expect(editedOutside(entries, flag)?.warning).toBeUndefined()
  })
})
