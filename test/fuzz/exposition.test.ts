import { describe, expect, test } from 'vitest'
import { isSwitchbackError } from '../../src/errors.ts'
import { createScrapeReader, scrapeOf } from '../../src/control/metrics/scrape.ts'
import { readExposition } from '../../src/control/metrics/index.ts'
import { VECTOR_LENGTH } from '../../src/control/metrics/vector.ts'
import { ExpositionReader } from '../../src/scrape/index.ts'
import { readingOf } from '../../src/guard/samples/reading.ts'
import { createTelemetry } from '../../src/telemetry/index.ts'
import { Random } from './byte-mutations.ts'
import { fuzzBytes, SEED, TIMEOUT } from './fuzzing.ts'
import { guardPrototypes } from './prototypes.ts'
import { longestStall, MOST_STALL_MS } from './stall.ts'

guardPrototypes()

/** What the telemetry exports after a little of everything. */
function exported(): Buffer {
  const telemetry = createTelemetry({ meter: false })
  telemetry.gauge('switchback_owed_invalidations', 'Owed.', { side: 'on' }, () => 3)
  for (let user = 0; user < 50; user++) {
    const bucket = telemetry.bucketOf(`user_${user}`)
    const side = user % 2 === 0 ? 'on' : 'off'
    telemetry.operation(side, 'getOrSet', user % 7 === 0 ? 'failed' : 'hit', user / 3, bucket)
    telemetry.operation(side, 'set', 'stored', 1, bucket)
    telemetry.event(side, 'repeat_miss', bucket)
    telemetry.originLoad(side, 25, user % 5 !== 0)
  }
  const text = telemetry.prometheus()
  telemetry.close()
  return Buffer.from(text)
}

const CORPUS: readonly Buffer[] = [
  exported(),
  Buffer.from(
    `# HELP http_requests_total The total.
# TYPE http_requests_total counter
http_requests_total{method="post",code="200"} 1027 1395066363000
msdos_file_access_time_seconds{path="C:\\\\DIR\\\\FILE.TXT",error="Cannot find file:\\n\\"FILE.TXT\\""} 1.458255915e9
metric_without_timestamp_and_labels 12.47
something_weird{problem="division by zero"} +Inf -3982045
http_request_duration_seconds_bucket{le="+Inf"} 144320 # {trace_id="oHg5SJYRHA0"} 9.8 1520879607.789
switchback_operations_total{side="on",operation="get",outcome="hit"} 7 # {trace_id="a"} 1
`,
  ),
]

const WORDS = [
  'switchback_operations_total',
  'switchback_instance_info',
  'switchback_user_operations_total',
  '{side="on"}',
  '{__proto__="x",constructor="y"}',
  'side="off",',
  'le="+Inf"',
  'NaN',
  '+Inf',
  '-Inf',
  '0x1F',
  '1e308',
  ' # {trace_id="x"} 1 2',
  '\\"',
  '\\n',
  '\n',
  '\r\n',
  '# TYPE ',
  '{',
  '}',
  '"',
]

const everything = (): boolean => true

/** The text in pieces, as a connection delivers it. */
function pieces(text: string, seed: number): string[] {
  const random = new Random(seed)
  const made: string[] = []
  for (let at = 0; at < text.length;) {
    const size = 1 + random.below(random.chance(0.5) ? 10 : 65_536)
    made.push(text.slice(at, at + size))
    at += size
  }
  return made
}

function codeOf(call: () => unknown): unknown {
  try {
    return call()
  } catch (error) {
    if (!isSwitchbackError(error)) throw error
    return error.code
  }
}

describe('damaged expositions', () => {
  test('are read alike, whole or in pieces, or refused with a code', { timeout: TIMEOUT }, () =>
    fuzzBytes({ corpus: CORPUS, dictionary: WORDS, usual: 1200 }, (bytes) => {
      const text = bytes.toString()
      const whole = codeOf(() => readExposition(text))
      const inPieces = codeOf(() => {
        const reader = createScrapeReader()
        for (const piece of pieces(text, SEED)) reader.push(piece)
        return scrapeOf(reader)
      })
      expect(inPieces).toEqual(whole)
      if (typeof whole === 'string') expect(whole).toMatch(/^SB_METRICS_/)
      else {
        const { arms, instance } = whole as ReturnType<typeof readExposition>
        expect(instance.length).toBeLessThanOrEqual(64)
        for (const vector of [arms.off, arms.on]) {
          expect(vector).toHaveLength(VECTOR_LENGTH)
          for (const value of vector) expect(value).toBeGreaterThanOrEqual(0)
        }
      }
    }),
  )

  test('make a reading of whole counters, or none', { timeout: TIMEOUT }, () =>
    fuzzBytes({ corpus: CORPUS, dictionary: WORDS, usual: 800 }, (bytes) => {
      const reader = new ExpositionReader(everything)
      const reading = codeOf(() => {
        reader.push(bytes.toString())
        return readingOf('replica', 1, reader.end(), [])
      })
      if (typeof reading === 'string') {
        expect(reading).toMatch(/^SB_METRICS_/)
        return
      }
      const { arms } = reading as ReturnType<typeof readingOf>
      for (const { operations, failed, fellBack, repeatMisses, late } of [arms.off, arms.on]) {
        const counts = [operations, failed, fellBack, repeatMisses, ...late.values()]
        for (const value of counts.flatMap((list) => [...list])) {
          expect(value >= 0 && value < Infinity).toBe(true)
        }
      }
    }),
  )
})

/** Expositions that cost a careless reader more than they are long. */
const HELL: readonly (readonly [name: string, text: string])[] = [
  ['a number of 16,000 digits', `switchback_x ${'1'.repeat(16_000)}x\n`],
  [
    'a number of 16,000 digits and a dot',
    `switchback_x ${'1'.repeat(8_000)}.${'1'.repeat(8_000)}e\n`,
  ],
  ['a label that never ends', `switchback_x{a="${'\\"'.repeat(8_000)}\n`],
  ['a line that never ends', `switchback_x{a="${'a'.repeat(1_000_000)}`],
  ['a line of labels', `switchback_x{${'a="b",'.repeat(2_600)}} 1\n`],
  ['a line of spaces', `switchback_x{a="b"}${' '.repeat(16_000)}1 2 3\n`],
  ['many lines of labels', `switchback_x{${'a="b",'.repeat(2_600)}} 1\n`.repeat(4)],
  ['many series', 'switchback_user_operations_total{side="on",bucket="1"} 1\n'.repeat(1_100)],
  ['many lines of nothing', '\n'.repeat(65_536)],
  ['comments', `# ${'x'.repeat(14)}\n`.repeat(3_800)],
]

describe('pieces of 64 KiB that cost more than they are long', () => {
  test.each(HELL)('%s', async (_, text) => {
    const stall = await longestStall(() => {
      for (const read of [
        (): unknown => readExposition(text.slice(0, 65_536)),
        (): unknown => {
          const reader = new ExpositionReader(everything)
          reader.push(text)
          return readingOf('replica', 1, reader.end(), [])
        },
      ]) {
        expect(codeOf(read)).toMatch(/^SB_METRICS_/)
      }
    }, MOST_STALL_MS)
    expect(stall).toBeLessThan(MOST_STALL_MS)
  })

  test('10 MiB: none of its pieces holds anything up', async () => {
    const line =
      'switchback_user_operations_total{side="on",bucket="31",instance="a-b-c-d"} 12345\n'
    const text = line.repeat((10 * 2 ** 20) / line.length)
    const reader = new ExpositionReader(everything)
    let longest = 0
    let outcome: unknown
    for (let at = 0; at < text.length && outcome === undefined; at += 65_536) {
      const started = process.cpuUsage()
      outcome = codeOf(() => reader.push(text.slice(at, at + 65_536)))
      const { user, system } = process.cpuUsage(started)
      longest = Math.max(longest, (user + system) / 1000)
    }
    expect(outcome).toBe('SB_METRICS_TOO_LARGE')
    expect(longest).toBeLessThan(MOST_STALL_MS)
  })
})
