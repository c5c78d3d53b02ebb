import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import {
  ABSENT,
  type Cell,
  type ChangeListener,
  type Following,
  type Heard,
} from '../../src/cache/index.ts'
import type { Notice } from '../../src/switch/events.ts'
import { Follower, type FollowerParts } from '../../src/switch/truth/follower.ts'
import { NEVER_TRUSTED } from '../../src/switch/truth/trust.ts'
import { PinnedOperation } from '../../src/switch/operation.ts'
import { noTelemetry } from '../../src/telemetry/index.ts'
import { deferred } from '../support/deferred.ts'

/** A tombstone's life. */
const T = 60_000

const now = (): number => performance.now()

/** A shared store that says what the test lets it say, and a side beside it. */
class Stage {
  readonly events: Notice[] = []
  readonly following: { -readonly [K in keyof Following]: Following[K] } = {
    follows: true,
    provenAt: Number.NEGATIVE_INFINITY,
    eraBeganAt: Number.NEGATIVE_INFINITY,
    ask: async () => {
      this.asked += 1
      this.onAsk()
      return this.has
    },
    close: () => undefined,
  }
  asked = 0
  has: Cell | undefined = ABSENT
  trust = 0
  onAsk = (): void => undefined
  listener!: ChangeListener
  readonly own: Record<string, unknown>
  readonly shared: Record<string, unknown>
  readonly follower: Follower

  constructor(ledger?: { others: boolean; meetOthers: () => void }) {
    const { following } = this
    this.own = {
      side: 'off',
      backend: { name: 'files', tombstoneTtl: T, now: () => 1e12 + now(), ledger },
    }
    this.shared = {
      side: 'on',
      usable: true,
      hold: (result: unknown) => result,
      backend: {
        name: 'redis',
        tombstoneTtl: T,
        follow: (listener: ChangeListener) => {
          this.listener = listener
          return following
        },
      },
    }
    this.follower = new Follower({
      own: this.own as never,
      shared: this.shared as never,
      debts: {
        changes: 0,
        trustedFrom: () => this.trust,
        trustedSince: (_side: string, _key: string, asked: number) => asked,
      } as never,
      recorder: noTelemetry,
      notify: (event: Notice) => void this.events.push(event),
      near: 'machine',
    } satisfies FollowerParts)
  }

  /** The connection proves itself. */
  prove(): void {
    this.following.provenAt = now()
  }

  /** As a read of the private side does that finds this. */
  async uses(found: Cell): Promise<'known' | 'confirmed' | 'shared' | 'miss'> {
    if (this.follower.knows('k', found)) return 'known'
    const op = new PinnedOperation(
      'get',
      'k',
      undefined as never,
      this.own as never,
      this.shared as never,
      'invalidate',
      false,
      0,
    )
    op.cell = found
    op.outcome = 'hit'
    if (!(await this.follower.confirm(op))) return 'miss'
    return op.cell === found ? 'confirmed' : 'shared'
  }
}

function value(token: string, agoMs = 0): Cell {
  return { ...ABSENT, state: 'value', token, payload: '1', writtenAt: 1e12 + now() - agoMs }
}

function tombstone(successor: string): Cell {
  return { ...ABSENT, state: 'tombstone', token: 'b', writtenAt: 1e12 + now(), successor }
}

let stage: Stage

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance', 'setInterval', 'clearInterval'], now: 1e6 })
  stage = new Stage()
  vi.advanceTimersByTime(200_000)
  stage.listener.began()
  stage.prove()
})

afterEach(() => {
  stage.follower.close()
  vi.useRealTimers()
})

describe('a value that this process has put there', () => {
  const put = (): Cell => {
    const cell = value('a')
    stage.follower.put('k', 'a', now())
    return cell
  }

  test('is used without asking while the connection has proven itself within a second', async () => {
    const cell = put()
    vi.advanceTimersByTime(999)
    expect(await stage.uses(cell)).toBe('known')
    vi.advanceTimersByTime(1)
    expect(await stage.uses(cell)).toBe('confirmed')
    expect(stage.asked).toBe(1)
  })

  test('after a change it is asked about, once: a tombstone names it', async () => {
    const cell = put()
    stage.listener.changed('k')
    stage.has = tombstone('a')
    expect(await stage.uses(cell)).toBe('confirmed')
    expect(await stage.uses(cell)).toBe('known')
    expect(stage.asked).toBe(1)
  })

  test('is superseded by a tombstone that names another, and by a value', async () => {
    const cell = put()
    stage.listener.changed('k')
    stage.has = tombstone('another')
    expect(await stage.uses(cell)).toBe('miss')
    stage.has = tombstone('')
    expect(await stage.uses(cell)).toBe('miss')
    stage.has = value('c')
    expect(await stage.uses(cell)).toBe('shared')
  })

  test('that there is nothing confirms it for as long as a tombstone would be there', async () => {
    const cell = put()
    stage.listener.changed('k')
    vi.advanceTimersByTime(T / 2 - 1)
    expect(await stage.uses(cell)).toBe('confirmed')
    stage.listener.changed('k')
    vi.advanceTimersByTime(T / 2)
    expect(await stage.uses(cell)).toBe('miss')
  })

  test('a change that is told late is in doubt since the last proof before', async () => {
    const cell = put()
    vi.advanceTimersByTime(T / 2)
    stage.listener.changed('k')
    expect(await stage.uses(cell)).toBe('miss')
  })

  test('a doubt from before the era is not settled by there being nothing', async () => {
    const cell = put()
    stage.listener.changed('k')
    stage.following.eraBeganAt = now()
    expect(await stage.uses(cell)).toBe('miss')
  })

  test('nor by an answer from another era', async () => {
    const cell = put()
    stage.listener.changed('k')
    stage.has = undefined
    expect(await stage.uses(cell)).toBe('miss')
  })

  test('a question serves those who come within a second of it', async () => {
    const cell = put()
    stage.listener.changed('k')
    const answer = deferred<Cell>()
    stage.following.ask = () => {
      stage.asked += 1
      return answer.promise
    }
    const [first, soon] = [stage.uses(cell), stage.uses(cell)]
    expect(stage.asked).toBe(1)
    vi.advanceTimersByTime(1000)
    const late = stage.uses(cell)
    expect(stage.asked).toBe(2)
    answer.resolve(tombstone('a'))
    expect(await Promise.all([first, soon, late])).toEqual(Array(3).fill('confirmed'))
  })

  test('a change during the question keeps the doubt', async () => {
    const cell = put()
    stage.listener.changed('k')
    stage.onAsk = () => stage.listener.changed('k')
    expect(await stage.uses(cell)).toBe('confirmed')
    stage.onAsk = () => undefined
    stage.has = tombstone('')
    expect(await stage.uses(cell)).toBe('miss')
  })

  test('while its invalidation is pending there, a doubt is not settled', async () => {
    const cell = put()
    stage.trust = NEVER_TRUSTED
    expect(await stage.uses(cell)).toBe('known')
    stage.listener.changed('k')
    expect(await stage.uses(cell)).toBe('miss')
    expect(stage.asked).toBe(0)
  })

  test.each([
    [T / 2 - 1, 'confirmed'],
    [T / 2, 'miss'],
  ])('after a gap of %d ms it is in doubt since the last proof before', async (ms, used) => {
    const cell = put()
    stage.prove()
    stage.following.follows = false
    vi.advanceTimersByTime(ms)
    stage.listener.began()
    stage.following.follows = true
    stage.prove()
    expect(await stage.uses(cell)).toBe(used)
    expect(stage.asked).toBe(1)
  })
})

test('what somebody else has put there is in doubt since it was written', async () => {
  expect(await stage.uses(value('b', T / 2 - 1))).toBe('confirmed')
  expect(await stage.uses(value('c', T / 2))).toBe('miss')
})

test('concurrent readers ask once, but not who began after a change', async () => {
  const cell = value('a')
  let change = true
  stage.onAsk = () => {
    if (change) stage.listener.changed('k')
    change = false
  }
  const first = [stage.uses(cell), stage.uses(cell)]
  expect(await Promise.all(first)).toEqual(['confirmed', 'confirmed'])
  expect(stage.asked).toBe(2)
})

describe('the shared store is out', () => {
  beforeEach(() => {
    stage.follower.put('k', 'a', now() - 5000)
    stage.prove()
    stage.shared['usable'] = false
    stage.following.follows = false
  })

  test('what was the latest at the last proof is used for 10 s more', async () => {
    const cell = value('a', 100_000)
    vi.advanceTimersByTime(9999)
    expect(await stage.uses(cell)).toBe('confirmed')
    vi.advanceTimersByTime(1)
    expect(await stage.uses(cell)).toBe('miss')
  })

  test('and so is what was loaded since', async () => {
    vi.advanceTimersByTime(60_000)
    stage.follower.put('k', 'b', now())
    vi.advanceTimersByTime(9999)
    expect(await stage.uses(value('b'))).toBe('confirmed')
    vi.advanceTimersByTime(1)
    expect(await stage.uses(value('b'))).toBe('miss')
  })

  test('not what is known to have changed', async () => {
    stage.listener.changed('k')
    expect(await stage.uses(value('a'))).toBe('miss')
  })

  test('a question without an answer is as if it were out', async () => {
    stage.shared['usable'] = true
    stage.following.ask = () => Promise.reject(new Error('no answer'))
    expect(await stage.uses(value('a'))).toBe('confirmed')
    vi.advanceTimersByTime(10_000)
    expect(await stage.uses(value('a', 10_000))).toBe('miss')
  })
})

describe('loads', () => {
  test('see what has changed since they began, and a gap', () => {
    const { follower, listener } = stage
    const before = follower.now
    listener.changed('other')
    expect(follower.changedSince('k', before)).toBe(false)
    listener.changed('k')
    expect(follower.changedSince('k', before)).toBe(true)
    const after = follower.now
    expect(follower.changedSince('k', after)).toBe(false)
    listener.began()
    expect(follower.changedSince('k', after)).toBe(true)
  })
})

test('a store that refuses to be followed is reported, and the value used as before', async () => {
  stage.listener.refused('NOPERM')
  expect(stage.events.filter(({ type }) => type === 'promises-less')).toHaveLength(1)
  expect(stage.follower.health()?.detail).toMatch(/NOPERM/u)
  expect(await stage.uses(value('a', 100_000))).toBe('known')
  expect(stage.follower.reach).toBe('machine')
  // It moves to the shared store only as before, too: while a tombstone would be there.
  expect(stage.follower.mayMove('k', value('a', T))).toBe(false)
  expect(stage.follower.mayMove('k', value('a'))).toBe(true)
})

describe('a machine with files', () => {
  const heard = (others?: 'met' | 'known' | 'perhaps'): Heard =>
    ({ ...(others && { others }), asked: { era: 1, fence: 0, at: now() } }) as Heard
  const ledger = { others: false, meetOthers: vi.fn<() => void>() }

  test('that is alone follows nobody, and uses all it has', async () => {
    const alone = new Stage(ledger)
    alone.follower.heard(heard())
    alone.shared['usable'] = false
    vi.advanceTimersByTime(1e7)
    expect(await alone.uses(value('a', 1e6))).toBe('known')
    expect(alone.follower.health()).toBeUndefined()
    expect(alone.follower.reach).toBe('all')
    alone.follower.close()
  })

  test('that may have met others follows them, and says so once it is known', () => {
    const meetOthers = vi.fn<() => void>()
    const one = new Stage({ others: false, meetOthers })
    one.follower.heard(heard('perhaps'))
    expect([one.follower.others, one.follower.noted]).toEqual([true, false])
    one.follower.heard(heard())
    expect([one.follower.others, one.follower.noted]).toEqual([true, false])
    expect([meetOthers.mock.calls.length, one.events.length]).toEqual([0, 0])
    one.follower.heard(heard('known'))
    one.follower.heard(heard('known'))
    expect(one.follower.noted).toBe(true)
    expect([meetOthers.mock.calls.length, one.events.length]).toEqual([1, 1])
    one.follower.close()
  })

  test('that meets others doubts what it has since it was last known to be alone', async () => {
    const one = new Stage(ledger)
    one.follower.heard(heard())
    const cell = value('a', 1e6)
    one.follower.heard(heard('met'))
    expect(ledger.meetOthers).toHaveBeenCalledOnce()
    expect(one.events.map(({ type }) => type)).toEqual(['others-met'])
    expect(await one.uses(cell)).toBe('confirmed')
    vi.advanceTimersByTime(T / 2)
    expect(await one.uses(cell)).toBe('miss')
    one.follower.close()
  })

  test('whose files say that it met others is not alone before it has heard anything', () => {
    const one = new Stage({ ...ledger, others: true })
    expect(one.follower.others).toBe(true)
    one.follower.close()
  })
})
