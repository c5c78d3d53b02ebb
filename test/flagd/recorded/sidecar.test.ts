import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { extname, join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startSidecar } from '../../../src/sidecar/index.ts'
import type { Sidecar, SidecarLogEntry } from '../../../src/sidecar/index.ts'
import { FREE } from '../../support/flagd-server.ts'
import { ANSWERS, contentOf, FILES, POPULATION, SPLITS, SYNC } from './load.ts'
import type { RecordedAnswer, RecordedFile } from './load.ts'
import { questions } from './questions.ts'
import type { Questions } from './questions.ts'
import { inFull } from '../../support/full.ts'

/** A sidecar whose files are replaced one after the other. */
interface Served extends AsyncDisposable {
  readonly sidecar: Sidecar
  readonly ask: Questions
  /** The files as the sidecar names them. */
  readonly sources: readonly string[]
  /** Puts content in the place of a source; resolves with what the sidecar said about it. */
  put(content: Buffer | string, source?: number): Promise<SidecarLogEntry['level']>
}

const GOOD = '{"flags":{"good":{"state":"ENABLED","variants":{"on":true},"defaultVariant":"on"}}}'

async function serve(...names: readonly string[]): Promise<Served> {
  const directory = mkdtempSync(join(tmpdir(), 'switchback-recorded-'))
  const sources = names.map((name) => join(directory, name))
  const current: string[] = []
  for (const [index, source] of sources.entries()) {
    current[index] = GOOD
    writeFileSync(source, GOOD)
  }
  let heard: ((level: SidecarLogEntry['level']) => void) | undefined
  const sidecar = await startSidecar({
    file: sources,
    ports: FREE,
    onLog: ({ level }) => heard?.(level),
  })
  const ask = questions(sidecar.ports)
  return {
    sidecar,
    ask,
    sources,
    put(content, source = 0) {
      const text = content.toString('latin1')
      if (text === current[source]) return Promise.resolve('info')
      current[source] = text
      const path = sources[source] as string
      return new Promise((resolve) => {
        heard = resolve
        writeFileSync(`${path}.new`, content)
        renameSync(`${path}.new`, path)
      })
    },
    async [Symbol.asyncDispose]() {
      ask[Symbol.dispose]()
      await sidecar.close()
      rmSync(directory, { recursive: true })
    },
  }
}

function grouped<T, K>(items: readonly T[], keyOf: (item: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>()
  for (const item of items) {
    const key = keyOf(item)
    groups.set(key, [...(groups.get(key) ?? []), item])
  }
  return groups
}

const answersOf = grouped(ANSWERS, ({ file }) => file)
const syncsOf = grouped(SYNC, ({ file }) => file)
const splitsOf = grouped(SPLITS, ({ file }) => file)
/** flagd tells by its text that a rule is empty: `{ }` of a shared rule is not, for it, and is here. */
const DIFFERENT: ReadonlySet<string> = new Set(['$evaluators with { } and blanks'])

// One in three: all of them are asked where no socket is between.
const taken = FILES.filter(({ taken: was, kind }) => was && !DIFFERENT.has(kind)).filter(
  (_, index) => index % inFull(3, 1) === 0,
)

let json: Served
let yaml: Served
let two: Served
beforeAll(async () => {
  json = await serve('flags.json')
  yaml = await serve('flags.yaml')
  two = await serve('flags.json', 'more.json')
})
afterAll(async () => {
  for (const served of [json, yaml, two]) await served[Symbol.asyncDispose]()
})

const servedOf = ({ name }: RecordedFile): Served => (extname(name) === '.yaml' ? yaml : json)

/** What the record says, with the sources as they are called here. */
function renamed(recorded: unknown, sources: readonly string[]): unknown {
  let text = JSON.stringify(recorded)
  for (const source of sources) {
    const name = source.slice(source.lastIndexOf('/') + 1)
    text = text.replaceAll(`"source":"${name}"`, `"source":"${source}"`)
    text = text.replaceAll(`\\"source\\":\\"${name}\\"`, `\\"source\\":\\"${source}\\"`)
  }
  return JSON.parse(text) as unknown
}

function selectorHere(
  selector: string | undefined,
  sources: readonly string[],
): string | undefined {
  const name = selector?.replace(/^source=/, '')
  const source = sources.find((path) => path.endsWith(`/${name}`))
  return source === undefined ? selector : `${selector?.slice(0, -(name ?? '').length)}${source}`
}

const RANDOM = /[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[\da-f]{4}-[\da-f]{12}/g

/** Whether an answer is one of those that flagd gave; of the random id of no flag set, only that it is there. */
function agrees(here: unknown, recorded: unknown): boolean {
  const said: unknown = JSON.parse(JSON.stringify(here).replace(RANDOM, '<random>'))
  const { varies = [recorded] } = (recorded ?? {}) as { varies?: readonly unknown[] }
  return varies.some((right) => isDeepStrictEqual(said, right))
}

/** Asks with some questions under way at a time; gives those whose answer is another than flagd's. */
async function differences<T>(
  items: readonly T[],
  ask: (item: T) => Promise<readonly (readonly [here: unknown, recorded: unknown])[]>,
): Promise<object[]> {
  const wrong: object[] = []
  const queue = items.values()
  const work = async (): Promise<void> => {
    for (const item of queue) {
      for (const [here, flagd] of await ask(item)) {
        if (!agrees(here, flagd)) wrong.push({ item, here, flagd })
      }
    }
  }
  await Promise.all(Array.from({ length: 16 }, work))
  return wrong
}

/** Every question by OFREP, and by one of the two versions of gRPC. */
async function answers(
  { ask, sources }: Served,
  answer: RecordedAnswer,
): Promise<readonly (readonly [unknown, unknown])[]> {
  const { key = '', context } = answer
  const selector = selectorHere(answer.selector, sources)
  const headers: Record<string, string> =
    selector === undefined ? {} : { 'flagd-selector': selector }
  const body = context === undefined ? '{}' : JSON.stringify({ context })
  const post = (path: string): Promise<unknown> => ask.http({ method: 'POST', path, body, headers })
  const flags = '/ofrep/v1/evaluate/flags'
  const asked: [here: Promise<unknown>, recorded: unknown][] = []
  if (answer.ofrep) asked.push([post(`${flags}/${encodeURIComponent(key)}`), answer.ofrep])
  if (answer.bulk) asked.push([post(flags), answer.bulk])
  const version = ANSWERS.indexOf(answer) % 2 === 0 ? 'v1' : 'v2'
  if (answer[version]) {
    asked.push([ask.boolean(version, key, context, selector), answer[version]])
  }
  if (answer['all-v1']) asked.push([ask.all(context, selector), answer['all-v1']])
  if (answer.request) asked.push([ask.http(answer.request), answer.response])
  return Promise.all(
    asked.map(async ([here, recorded]) => [await here, renamed(recorded, sources)] as const),
  )
}

describe.each(taken.map((file) => [file.id, file.kind, file] as const))('%s: %s', (id, _, file) => {
  test('OFREP, gRPC and the sync stream answer as flagd did', async () => {
    const served = servedOf(file)
    expect(await served.put(contentOf(file))).toBe('info')
    const { ask, sources } = served
    expect(await differences(answersOf.get(id) ?? [], (answer) => answers(served, answer))).toEqual(
      [],
    )
    const syncs = await differences(syncsOf.get(id) ?? [], async (sync) => {
      const selector = selectorHere(sync.selector, sources)
      const recorded = renamed(sync.SyncFlags, sources)
      return [
        [await ask.sync('SyncFlags', selector, sync.via), recorded],
        [await ask.sync('FetchAllFlags', selector, sync.via), sync.FetchAllFlags ?? recorded],
      ]
    })
    expect(syncs).toEqual([])
    for (const { key, variants, on, attribute } of splitsOf.get(id) ?? []) {
      // One in ten: here, too, all of them are asked there.
      const users = POPULATION.users.map((user, index) => [user, index] as const)
      const wrong = await differences(
        users.filter(([, index]) => index % 10 === 0),
        async ([targetingKey, index]) => {
          const more = attribute === undefined ? {} : { [attribute]: POPULATION.attribute[index] }
          const { variant } = (await ask.boolean('v2', key, {
            targetingKey,
            ...(more as Record<string, string>),
          })) as { variant?: string }
          return [[variant, variants[Number(on[index])]]]
        },
      )
      expect(wrong).toEqual([])
    }
  })
})

describe('two sources', () => {
  const pairs = grouped(
    SYNC.filter(({ files }) => files !== undefined),
    ({ files }) => files?.join(' and '),
  )

  test.each([...pairs])('%s', async (_pair, syncs) => {
    const { ask, sources } = two
    for (const [source, id] of (syncs[0]?.files ?? []).entries()) {
      const file = FILES.find((one) => one.id === id) as RecordedFile
      expect(await two.put(contentOf(file), source)).toBe('info')
    }
    const wrong = await differences(syncs, async (sync) => {
      const selector = selectorHere(sync.selector, sources)
      const recorded = renamed(sync.SyncFlags, sources)
      return [
        [await ask.sync('SyncFlags', selector, sync.via), recorded],
        [await ask.sync('FetchAllFlags', selector, sync.via), sync.FetchAllFlags ?? recorded],
      ]
    })
    expect(wrong).toEqual([])
    await two.put(GOOD, 0)
    await two.put(GOOD, 1)
  })
})

// All of them are read where no socket is between; a refusal is only told when the content stays.
describe.each(FILES.filter((file) => !file.taken).filter((_, index) => index % 8 === 0))(
  '$id: $kind',
  (file) => {
    test('is refused, and the flags before it answer on', async () => {
      const served = servedOf(file)
      await served.put(GOOD)
      expect(await served.put(contentOf(file))).toBe('error')
      expect(await served.ask.boolean('v2', 'good')).toMatchObject({ value: true })
    })
  },
)
