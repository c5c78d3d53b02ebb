import { setTimeout as sleep } from 'node:timers/promises'
import { MemoryUserRepository, Users } from '../../app/index.ts'
import { SwitchbackError } from '../../errors.ts'
import { apply, createEvaluator, loadFlags, setShare } from '../../rollout/index.ts'
import type { Side } from '../../side.ts'
import type { OperationInfo } from '../../switch/index.ts'
import { FLAG, type Stack } from './stack.ts'

/** One user asking twice: the first time from the origin, then from the cache of their side. */
export interface UserStory {
  readonly user: string
  readonly side: Side
  readonly value: string
  readonly first: Ask
  readonly again: Ask
}

export interface Ask {
  /** `hit`, `miss`, or how it went wrong. */
  readonly outcome: string
  /** Who gave the value. */
  readonly servedBy: string
  readonly ms: number
}

/** One edit of the flags file, and when it had reached all users. */
export interface DemoStep {
  readonly from: number
  readonly to: number
  readonly users: number
  readonly on: number
  /** Which of the five are on now. */
  readonly ofTheFive: readonly string[]
  /** Users who left `on` although the share grew. */
  readonly lost: number
  /** From the rename of the file until the last user's decision had changed. */
  readonly lastUserMs: number
  readonly requests: number
  readonly failed: number
}

const FIVE = ['user_0', 'user_1', 'user_2', 'user_3', 'user_4'] as const
const POPULATION = Array.from({ length: 1000 }, (_, index) => `user_${index}`)
const STEP_TIMEOUT_MS = 5000
const POLL_MS = 2
/** Traffic continues for a while after each step: errors may show late. */
const LINGER_MS = 300

/** The five users: who is served by which side. */
export async function askFiveUsers(stack: Stack): Promise<UserStory[]> {
  const repository = new MemoryUserRepository()
  const stories: UserStory[] = []
  for (const user of FIVE) {
    let info: OperationInfo | undefined
    const view = stack.cache.for(
      { targetingKey: user },
      {
        onOperation: (operation) => {
          info = operation
        },
      },
    )
    const users = new Users(view, repository)
    let value = ''
    const ask = async (): Promise<Ask> => {
      const started = performance.now()
      value = await users.processUserData(user)
      const ms = performance.now() - started
      return { outcome: info?.outcome ?? '', servedBy: info?.servedBy ?? '', ms }
    }
    const first = await ask()
    const again = await ask()
    stories.push({ user, side: info?.decision.side ?? 'off', value, first, again })
  }
  return stories
}

/**
 * Edits the flags file to this share and waits until every user's decision follows, under traffic.
 */
export async function moveTo(stack: Stack, file: string, to: number): Promise<DemoStep> {
  const before = await loadFlags(file)
  const edit = setShare(before, { flag: FLAG, percent: to })
  const wasOn = usersOn(createEvaluator(before, FLAG))
  const shouldBeOn = usersOn(createEvaluator(edit.after, FLAG))
  const traffic = startTraffic(stack)
  const { at } = await apply(edit, { file, by: { who: 'demo', via: 'demo' } })
  const lastUserMs = (await untilDecided(stack, shouldBeOn)) - at
  await sleep(LINGER_MS)
  const { requests, failed } = await traffic.stop()
  return {
    from: edit.from ?? 0,
    to,
    users: POPULATION.length,
    on: shouldBeOn.size,
    ofTheFive: FIVE.filter((user) => shouldBeOn.has(user)),
    lost: [...wasOn].filter((user) => !shouldBeOn.has(user)).length,
    lastUserMs: Math.max(0, lastUserMs),
    requests,
    failed,
  }
}

/** Sets the share before the traffic begins. */
export async function prepareFlags(file: string, percent: number): Promise<void> {
  const edit = setShare(await loadFlags(file), { flag: FLAG, percent })
  if (edit.changes.length > 0) await apply(edit, { file, by: { who: 'demo', via: 'demo' } })
}

function usersOn(answerTo: (user: string) => string): ReadonlySet<string> {
  return new Set(POPULATION.filter((user) => answerTo(user) === 'on'))
}

/** Resolves to the time at which the last user was seen on the expected side. */
async function untilDecided(stack: Stack, on: ReadonlySet<string>): Promise<number> {
  const deadline = performance.now() + STEP_TIMEOUT_MS
  let waiting = POPULATION
  while (performance.now() < deadline) {
    const decisions = await Promise.all(
      waiting.map(async (targetingKey) => {
        const { side } = await stack.decider.decide({ targetingKey })
        return (side === 'on') === on.has(targetingKey)
      }),
    )
    waiting = waiting.filter((_, index) => decisions[index] === false)
    if (waiting.length === 0) return performance.now()
    await sleep(POLL_MS)
  }
  throw new SwitchbackError(
    'SB_DEMO_STALLED',
    `${waiting.length} users did not move within ${STEP_TIMEOUT_MS / 1000} s`,
    { hint: 'run it again with less load on the machine' },
  )
}

interface Traffic {
  stop(): Promise<{ readonly requests: number; readonly failed: number }>
}

/** Requests of all users, one after another, which must all be answered and all be right. */
function startTraffic(stack: Stack): Traffic {
  const repository = new MemoryUserRepository({ latencyMs: 1 })
  const counts = { requests: 0, failed: 0 }
  const stop = new AbortController()
  const run = async (offset: number): Promise<void> => {
    for (let next = offset; !stop.signal.aborted; next += 7) {
      const user = POPULATION[next % POPULATION.length] ?? ''
      const users = new Users(stack.cache.for({ targetingKey: user }), repository)
      const value = await users.processUserData(user).catch(() => '')
      counts.requests += 1
      if (value !== `UserData for ${user}`) counts.failed += 1
      await sleep(0)
    }
  }
  const runs = [run(0), run(3)]
  return {
    stop: async () => {
      stop.abort()
      await Promise.all(runs)
      return counts
    },
  }
}
