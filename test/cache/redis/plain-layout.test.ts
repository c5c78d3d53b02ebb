import { describe, expect, test } from 'vitest'
import { NEVER } from '../../../src/cache/cell.ts'
import { ERA_AT, sealEnvelope, valueEnvelope } from '../../../src/cache/envelope.ts'
import { digestOf } from '../../../src/cache/plain-value.ts'
import { PlainLayout } from '../../../src/cache/redis/plain/plain-layout.ts'
import type { ServerState } from '../../../src/cache/redis/servers/server-state.ts'

const ERA = 'era_of_today'
const BEFORE = 'era_long_ago'
/** When the present era began, and now, by the server's clock. */
const SINCE = 1_000_000
const NOW = 1_500_000
const T = 60_000

const server = (adopted: boolean): ServerState =>
  ({ clock: { now: () => NOW }, since: SINCE, adopted }) as unknown as ServerState

/** What the switch left beside the value `text` at a time, in an era. */
function companion(text: string, writtenAt: number, era: string): string {
  const sealed = sealEnvelope(valueEnvelope(digestOf(text), NEVER), writtenAt)
  return sealed.slice(0, ERA_AT) + era + sealed.slice(ERA_AT + era.length)
}

describe('the age of what another program wrote', () => {
  const layout = new PlainLayout('', '')
  const open = (trace: string | null, adopted: boolean) =>
    layout.open([trace, '"theirs"'], server(adopted), T, ERA)

  test.each([
    // Not the time of the look: whoever distrusts what is older than now would trust it.
    ['without a trace: that of the era', null, SINCE],
    ['behind a trace of this era: that of the trace', companion('"ours"', NOW - 7, ERA), NOW - 7],
    // By the clock of another server, which may have been ahead.
    ['behind a trace of another era: of this one', companion('"ours"', NOW + 9, BEFORE), SINCE],
  ])('%s', (_, trace, writtenAt) => {
    expect(open(trace, true)).toMatchObject({ state: 'value', payload: '"theirs"', writtenAt })
  })

  test.each([
    ['no trace', null],
    ['one of another era', companion('"ours"', NOW + 9, BEFORE)],
  ])('with %s in a store that may have lost something it counts as deleted', (_, trace) => {
    expect(open(trace, false)).toMatchObject({ state: 'tombstone', payload: '' })
  })
})
