// @needs redis
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { deferred } from '../support/deferred.ts'
import { type Actor, until, World } from '../support/world.ts'

/**
 * What must have happened before what. In each the two steps are held apart, so that their order shows: the
 * random searches rarely meet the moment between them.
 */
let world: World

beforeAll(async () => {
  world = await World.create()
})

afterAll(() => world.close())

/** Everything that can follow without another event has followed. */
async function settled(): Promise<void> {
  for (let i = 0; i < 50; i += 1) await new Promise((resolve) => setImmediate(resolve))
}

/** The process does not reach Redis any more; others do. */
function cutOff({ on }: Actor): void {
  for (const step of ['write', 'invalidate', 'read'] as const) {
    vi.spyOn(on.inner, step).mockRejectedValue(new Error('cut off'))
  }
}

/** The ledger's next note waits at its door. */
function holdNote({ off }: Actor): { reached: Promise<void>; open: () => void } {
  const [reached, opened] = [deferred<void>(), deferred<void>()]
  const owe = off.ledger!.owe.bind(off.ledger)
  vi.spyOn(off.ledger!, 'owe').mockImplementationOnce(async (...given) => {
    reached.resolve(undefined)
    await opened.promise
    return owe(...given)
  })
  return { reached: reached.promise, open: () => opened.resolve(undefined) }
}

describe('what could not be told is written down before the acknowledgement', () => {
  const acts: readonly (readonly [string, (actor: Actor, key: string) => Promise<unknown>])[] = [
    ['a set that fell back to the file side', ({ onUser }, key) => onUser.set(key, 'v2')],
    ['a set whose other side was not told', ({ offUser }, key) => offUser.set(key, 'v2')],
    ['a delete, by a user of the side that is out', ({ onUser }, key) => onUser.delete(key)],
    ['a delete, by a user of the other side', ({ offUser }, key) => offUser.delete(key)],
  ]
  test.each(acts)('%s', async (_, act) => {
    const [writer, reader] = [world.actor(), world.actor()]
    const key = world.key()
    // A process that has only just begun may not be sure of Redis yet.
    await until('both have v1', async () => {
      await writer.onUser.set(key, 'v1')
      return (await reader.onUser.get(key)) === 'v1'
    })
    cutOff(writer)
    const note = holdNote(writer)
    let acknowledged = false
    const acting = act(writer, key).then(() => {
      acknowledged = true
    })
    await note.reached
    await until('the file side has been told', async () => {
      return (await writer.off.inner.read(key)).payload !== '"v1"'
    })
    await settled()
    expect(acknowledged).toBe(false)
    note.open()
    await acting
    expect(await reader.onUser.get(key)).not.toBe('v1')
  })
})

test('trust is asked before the read: what was pending then is not served though it is repaid by now', async () => {
  const reader = world.actor()
  const key = world.key()
  await reader.onUser.set(key, 'v1')
  const answer = reader.on.hold('read', 'after')
  // A delete that Redis did not take: it can be repaid in a moment, not yet.
  await reader.off.invalidate(key, { within: 1000 })
  await reader.off.ledger!.owe('on', key, reader.on.now() + 300)
  const reading = reader.onUser.get(key)
  await Promise.race([answer.reached, reading])
  await until('it is repaid', () => reader.off.ledger!.count('on') === 0)
  answer.open()
  expect(await reading).toBeUndefined()
})

describe("when the host's clock is set an hour ahead", () => {
  /** A file store never goes back, so each test has one of its own. */
  const anHourLater = (): void => {
    const now = Date.now()
    vi.spyOn(Date, 'now').mockReturnValue(now + 3_600_000)
  }

  test.each(['delete', 'set'] as const)(
    'what a %s left has ended before the other side was told: the old value was moved there, and goes',
    async (act) => {
      const machine = `ahead after a ${act}`
      // Longer than a busy machine stands still: past the deadline the other side is told later.
      const patient = { machine, deadlineMs: 10_000 }
      const [writer, reader] = [world.actor(patient), world.actor(patient)]
      const key = world.key()
      await writer.onUser.set(key, 'v1')
      const told = writer.on.hold('invalidate', 'before')
      const { offUser } = writer
      const writing = act === 'delete' ? offUser.delete(key) : offUser.set(key, 'v2', { ttl: '1s' })
      await told.reached
      anHourLater()
      try {
        expect(await reader.offUser.get(key)).toBe('v1')
        told.open()
        await writing
        expect(await reader.offUser.get(key)).not.toBe('v1')
        expect(await reader.onUser.get(key)).not.toBe('v1')
      } finally {
        vi.restoreAllMocks()
      }
    },
  )

  test('what was missed before counts no more: its miss is as long ago', async () => {
    const actor = world.actor({ machine: 'ahead amid a load' })
    const key = world.key()
    try {
      expect(
        await actor.offUser.getOrSet(key, () => {
          anHourLater()
          return 'v1'
        }),
      ).toBe('v1')
      expect(await actor.offUser.get(key)).toBeUndefined()
      expect(await actor.offUser.getOrSet(key, () => 'v2')).toBe('v2')
      expect(await actor.offUser.get(key)).toBe('v2')
    } finally {
      vi.restoreAllMocks()
    }
  })
})

describe('the era of the miss goes with what is stored for it', () => {
  test.each(['load', 'move'] as const)(
    'a %s on its way to Redis does not land in the era after',
    async (kind) => {
      const [slow, other] = [world.actor(), world.actor()]
      const key = world.key()
      await other.onUser.get(key)
      if (kind === 'move') await slow.offUser.getOrSet(key, () => 'v1')
      // Its place knows nothing of the key, as after the restart.
      const fill = slow.on.hold('write', 'before')
      const reading = kind === 'load' ? slow.onUser.getOrSet(key, () => 'v1') : slow.onUser.get(key)
      await fill.reached
      await other.onUser.set(key, 'v2')
      await world.redis.restart()
      await until('both have met the new Redis', async () => {
        const met = await Promise.all(
          [slow, other].map(async ({ on }) => on.inner.read(world.key())),
        ).catch(() => undefined)
        return met !== undefined
      })
      fill.open()
      expect(await reading).toBe('v1')
      for (const { onUser, offUser } of [slow, other]) {
        expect(await onUser.get(key)).toBeUndefined()
        expect(await offUser.get(key)).toBeUndefined()
      }
    },
  )
})
