import { setImmediate } from 'node:timers/promises'
import type { FlagsDocument } from '../file/document.ts'
import type { FlagsEdit } from '../file/edit.ts'
import {
  type Answer,
  createEvaluator,
  definitionOf,
  evaluationError,
  syntheticUser,
  type User,
} from './evaluate.ts'
import { pilotsOf } from '../edits/pilot.ts'
import { currentShare, setShare } from '../edits/set-share.ts'

/** A made-up user to ask flagd about, and the expected answers before and after an edit. */
export interface Probe {
  readonly user: User
  readonly before: Answer
  readonly after: Answer
}

/** Probe users for an edit: those whose answer changes, and some whose answer does not. */
export interface Probes {
  readonly movers: readonly Probe[]
  readonly stayers: readonly Probe[]
}

export interface ProbeSearch {
  readonly flag: string
  readonly before: FlagsDocument
  readonly after: FlagsDocument
  /** Largest number of users who move. */
  readonly count: number
  /**
   * How long to look for the first mover, in ms; a change of a thousandth of a percent moves one
   * user in 100,000. Once one is found, the search ends after a third of it.
   * @default 3000
   */
  readonly patienceMs?: number
}

/** Finds users whose buckets lie between the old and the new boundary, and a few beside it. */
export function findProbes(search: ProbeSearch): Probes {
  const searching = searchProbes(search)
  for (;;) {
    const { done, value } = searching.next()
    if (done === true) return value
  }
}

/** The same, with pauses for other work of this process. */
async function findProbesGently(search: ProbeSearch): Promise<Probes> {
  const searching = searchProbes(search)
  for (;;) {
    const { done, value } = searching.next()
    if (done === true) return value
    await setImmediate()
  }
}

/** How long the search holds the thread, in ms. */
const breathMs = 10

/** Yields when it is time for a pause. */
function* searchProbes(search: ProbeSearch): Generator<undefined, Probes> {
  const { flag, before, after, count, patienceMs = 3000 } = search
  const evaluateBefore = evaluatorBefore(before, flag)
  const evaluateAfter = createEvaluator(after, flag)
  const make = syntheticUser(after, flag)
  const dress = wardrobe(before, after, flag)
  const movers: Probe[] = []
  const stayers = new Map<Answer, Probe[]>()
  const start = performance.now()
  let breath = start
  for (let index = 0; movers.length < count; index++) {
    const made = make(index)
    // The first has no key: only the default variant decides for it.
    const anonymous = index === 0 && typeof made === 'string'
    const user = anonymous ? { targetingKey: '' } : dress(made, index)
    const probe = { user, before: evaluateBefore(user), after: evaluateAfter(user) }
    if (probe.before !== probe.after) movers.push(probe)
    else {
      const same = stayers.get(probe.after) ?? []
      if (same.length < 4) stayers.set(probe.after, [...same, probe])
    }
    if (before === after && index > 500) break
    // Checked at each user, since the cost of one depends on the rule.
    const now = performance.now()
    if (now - start > (movers.length > 0 ? patienceMs / 3 : patienceMs)) break
    if (now - breath < breathMs) continue
    yield undefined
    breath = performance.now()
  }
  return { movers, stayers: [...stayers.values()].flat() }
}

/** A flag that flagd does not take gives nobody an answer, and an edit may be what corrects it. */
function evaluatorBefore(document: FlagsDocument, flag: string): (user: User) => Answer {
  try {
    return createEvaluator(document, flag)
  } catch {
    return () => evaluationError
  }
}

/** Every other user gets an attribute of a pilot, so that edits of pilots move some of them. */
function wardrobe(
  before: FlagsDocument,
  after: FlagsDocument,
  flag: string,
): (user: User, index: number) => User {
  const outfits = [...pilotsOf(before, flag), ...pilotsOf(after, flag)].flatMap(
    ({ attribute, values }) => values.map((value) => ({ [attribute]: value })),
  )
  return (user, index) => {
    const outfit = index % 2 === 1 ? outfits[((index - 1) / 2) % outfits.length] : undefined
    if (outfit === undefined) return user
    return typeof user === 'string' ? { targetingKey: user, ...outfit } : { ...user, ...outfit }
  }
}

/**
 * Probes for an edit: users who move, and users next to the new boundary, who tell one share from
 * another.
 */
export async function probesForEdit(
  edit: FlagsEdit,
  options: Pick<ProbeSearch, 'count' | 'patienceMs'>,
): Promise<Probes> {
  const { flag, before, after } = edit
  const { movers, stayers } = await findProbesGently({ ...options, flag, before, after })
  const evaluateBefore = evaluatorBefore(before, flag)
  const beside = (await boundaryProbes(after, flag, 16)).map((probe) => ({
    ...probe,
    before: evaluateBefore(probe.user),
  }))
  const moves = (probe: Probe): boolean => probe.before !== probe.after
  return {
    movers: [...beside.filter(moves), ...movers].slice(0, options.count),
    stayers: [...stayers, ...beside.filter((probe) => !moves(probe))],
  }
}

/**
 * One in a hundred users of the split lies beside the boundary. If none is found soon, a condition
 * keeps made-up users from it.
 */
const boundaryPatienceMs = 300

/**
 * Users next to the current boundary of the split: the last ones on and the first ones off. If
 * flagd gives them what the file says, it serves this share.
 */
export async function boundaryProbes(
  document: FlagsDocument,
  flag: string,
  count: number,
): Promise<Probe[]> {
  // Of a disabled flag nobody is beside it, and a rollback would wait for the search.
  const disabled = definitionOf(document, flag).state === 'DISABLED'
  const share = disabled ? undefined : currentShare(document, flag)
  const found: Probe[] = []
  if (share !== undefined) {
    for (const neighbour of [Math.max(0, share - 1), Math.min(100, share + 1)]) {
      const before = setShare(document, { flag, percent: neighbour.toFixed(3) }).after
      const search = { flag, before, after: document, count: count / 2 }
      const { movers } = await findProbesGently({ ...search, patienceMs: boundaryPatienceMs })
      found.push(...movers)
    }
  }
  const same = { flag, before: document, after: document, count: 1 }
  return [...found, ...(await findProbesGently(same)).stayers]
}
