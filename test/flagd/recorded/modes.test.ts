import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Client, EvaluationDetails } from '@openfeature/server-sdk'
import { afterAll, describe, expect, test } from 'vitest'
import { flagsFromEnvironment } from '../../../src/flags/index.ts'
import type { FlagsEvent, FlagsSource } from '../../../src/flags/index.ts'
import { SyncServer } from '../../support/flags-sync-server.ts'
import { until } from '../../support/until.ts'
import { ANSWERS, contentOf, FILES, POPULATION, rightOnes } from './load.ts'
import { ROLLOUT_KINDS, SPLITS, SYNC } from './load.ts'
import type { GrpcAnswer, RecordedAnswer } from './load.ts'

const TEXTS = new Map<string, string>()
for (const { file, selector, SyncFlags } of SYNC) {
  if (file !== undefined && selector === undefined && typeof SyncFlags === 'string') {
    TEXTS.set(file, SyncFlags)
  }
}
const TAKEN = FILES.filter(({ taken }) => taken)
const KINDS = new Map(FILES.map(({ id, kind }) => [id, kind]))
const ASKED = ANSWERS.filter(
  ({ key, selector, v2 }) => key !== undefined && selector === undefined && v2 !== undefined,
)

/** `flagsFromEnvironment`, and a way to give it the content of another recorded file. */
interface Mode {
  readonly client: Client
  readonly events: readonly FlagsEvent[]
  show(file: string): Promise<void>
}

const directory = mkdtempSync(join(tmpdir(), 'switchback-recorded-'))
const open: (() => Promise<unknown>)[] = []
afterAll(async () => {
  for (const close of open.toReversed()) await close()
  rmSync(directory, { recursive: true, force: true })
})

async function inProcess(): Promise<Mode> {
  const [server, port] = await SyncServer.start({ flags: {} })
  open.push(() => server[Symbol.asyncDispose]())
  const events: FlagsEvent[] = []
  const source = await flagsFromEnvironment(
    { FLAGD_RESOLVER: 'in-process', FLAGD_HOST: '127.0.0.1', FLAGD_SYNC_PORT: String(port) },
    { startMs: 30_000, onEvent: (event) => events.push(event) },
  )
  open.push(() => source.close())
  let shown = 0
  return {
    client: source.client(),
    events,
    async show(file) {
      // A flag more, by which it is seen that the text is in force.
      const mark = `recorded-${shown++}`
      const text = (TEXTS.get(file) as string).replace(
        /^\{"flags":\{/,
        `{"flags":{"${mark}":{"state":"ENABLED","variants":{"on":true},"defaultVariant":"on"},`,
      )
      server.send(text.replace(/,\}/, '}'))
      await until(`${file} in force`, () => source.client().getBooleanValue(mark, false))
    },
  }
}

let fileSources = 0

async function ofFile(name: string): Promise<Mode> {
  const inside = join(directory, String(fileSources++))
  mkdirSync(inside)
  let source: FlagsSource | undefined
  const events: FlagsEvent[] = []
  const mode: { client: Client | undefined } = { client: undefined }
  return {
    get client() {
      return mode.client as Client
    },
    events,
    async show(file) {
      await source?.close()
      const recorded = FILES.find(({ id }) => id === file)
      if (recorded === undefined) throw new Error(file)
      const path = join(inside, recorded.name || name)
      writeFileSync(path, contentOf(recorded))
      source = await flagsFromEnvironment(
        { FLAGD_OFFLINE_FLAG_SOURCE_PATH: path },
        { onEvent: (event) => events.push(event) },
      )
      open.push(async () => source?.close())
      mode.client = source.client()
    },
  }
}

describe.each([
  ['in-process', inProcess],
  ['file', () => ofFile('flags.json')],
] as const)('%s', (_name, start) => {
  test('what flagd takes is in force, and answers as flagd', { timeout: 240_000 }, async () => {
    const mode = await start()
    const wrong: string[] = []
    let asked = 0
    for (const { id } of TAKEN.filter(({ id: file }) => TEXTS.has(file))) {
      await mode.show(id)
      expect(mode.events, id).toEqual([])
      for (const answer of ASKED.filter(({ file }) => file === id)) {
        asked++
        const details = await mode.client.getBooleanDetails(
          answer.key as string,
          CODE,
          (answer.context ?? {}) as never,
        )
        const isRight = rightOnes(answer.v2 ?? {}).some((right) => same(details, right))
        if (!isRight) wrong.push(shown(answer, details))
      }
    }
    expect(asked).toBeGreaterThan(3_000)
    const kindOf = (line: string): string => KINDS.get(JSON.parse(line).file) ?? ''
    expect(wrong.filter((line) => ROLLOUT_KINDS.has(kindOf(line)))).toEqual([])
    expect(wrong.length / asked, wrong.join('\n')).toBeLessThan(0.01)
  })

  test('2,000 users have the sides that flagd gives them', { timeout: 120_000 }, async () => {
    const mode = await start()
    for (const split of SPLITS) {
      await mode.show(split.file)
      const sides: string[] = []
      for (const [index, targetingKey] of POPULATION.users.entries()) {
        const { attribute } = split
        const more = attribute === undefined ? {} : { [attribute]: POPULATION.attribute[index] }
        const { variant } = await mode.client.getBooleanDetails(split.key, CODE, {
          targetingKey,
          ...more,
        } as never)
        sides.push(String(split.variants.indexOf(variant ?? '')))
      }
      expect(sides.join(''), split.key).toBe(split.on)
    }
  })
})

/** What the code asks with; the answer where flagd leaves it to the code. */
const CODE = false

const CODES: Readonly<Record<string, readonly number[]>> = {
  FLAG_NOT_FOUND: [5],
  TYPE_MISMATCH: [3],
  PARSE_ERROR: [15],
  GENERAL: [2],
}

function same(details: EvaluationDetails<boolean>, right: GrpcAnswer): boolean {
  const { value, variant = '', reason, errorCode } = details
  if (errorCode !== undefined) return CODES[errorCode]?.includes(right.code ?? -1) ?? false
  if (right.code !== undefined) return false
  return (
    value === (right.value ?? CODE) && variant === (right.variant ?? '') && reason === right.reason
  )
}

function shown({ file, key, context, v2 }: RecordedAnswer, got: object): string {
  return JSON.stringify({ file, key, context, v2, got })
}
