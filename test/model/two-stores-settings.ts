import {
  A,
  B,
  type PairClient,
  type PairPlace,
  type PairRules,
  type PairSetting,
} from './two-stores.ts'

const on = (
  process: number,
  does: PairClient['does'],
  sides?: (PairPlace | undefined)[],
): PairClient => (sides === undefined ? { process, does } : { process, does, sides })

/** The writer is on the old side, the reader on the new one: the migration's usual picture, and few states. */
const setAndRead = [on(0, ['set'], [A]), on(1, ['read'], [B])]
/** One process loses a store, for good. */
const cutOff: PairSetting = { clients: setAndRead, cuts: 1, forGood: true }
const deleteAndReads = [on(0, ['delete'], [A]), on(1, ['read', 'read'], [B, B])]
/** An outage of B is over for everybody but the debt: v2 stands on A, acknowledged; B still has v1. */
const owedByB: Omit<PairSetting, 'clients'> = {
  owedByB: true,
  at: 2,
  a: ['V', 2, 't1', 0],
}

/** B alone has v1, everything is cleared, and somebody moves v1 just then. */
const clearAndMove: PairSetting = {
  clients: [on(0, ['clear'], [A]), on(1, ['read', 'read'], [A, A])],
  clearing: true,
  silent: [0],
}
/** A took v2 and lost it, which its writer alone knows; others have moved what B has. */
const alone: PairSetting = {
  clients: [on(0, ['read'], [A]), on(1, ['read'], [A])],
  alone: true,
  a: ['V', 1, 't1', 0],
}

export interface PairHeld {
  readonly name: string
  readonly setting: PairSetting
  /** Too many states for every test run. */
  readonly deep?: boolean
}

export const PAIR_HELD: readonly PairHeld[] = [
  { name: 'the writer, or the reader, is cut off from a store', setting: cutOff },
  {
    name: 'a process is cut off and killed',
    setting: { ...cutOff, crashes: 1 },
  },
  { name: 'a store hangs and is back', setting: { clients: setAndRead, hangs: 1 }, deep: true },
  {
    name: 'a store hangs and is back, the writer is killed',
    setting: { clients: setAndRead, hangs: 1, crashes: 1 },
    deep: true,
  },
  {
    name: 'a command lost or late',
    setting: { clients: [on(0, ['set'], [B]), on(1, ['read'], [B])], timeouts: 1 },
    deep: true,
  },
  {
    name: 'a process is cut off from a store for good',
    setting: { clients: [on(0, ['set']), on(1, ['read'])], cuts: 1, forGood: true },
    deep: true,
  },
  {
    name: 'a store dies for good, a process is cut off from the other',
    setting: { clients: setAndRead, hangs: 1, cuts: 1, forGood: true },
    deep: true,
  },
  { name: 'late ticks', setting: { clients: setAndRead, cuts: 1, lateTicks: 1 }, deep: true },
  {
    name: 'a delete and two reads while B owes',
    setting: { clients: deleteAndReads, owedByB: true, a: ['V', 1, 't1', 0], b: null },
    deep: true,
  },
  {
    name: 'a store is emptied during a load',
    setting: { clients: deleteAndReads, flushes: 1, flushed: [B], b: null },
    deep: true,
  },
  {
    name: 'the board evicts its state during an outage',
    setting: { clients: setAndRead, hangs: 1, evictions: 1, flushed: [A] },
    deep: true,
  },
  {
    name: 'the board evicts an acknowledged debt',
    setting: { clients: [on(0, ['read'], [B])], ...owedByB, evictions: 1, flushed: [A] },
  },
  {
    name: 'clear, and a read without a licence',
    setting: { clients: [on(0, ['clear'], [A]), on(1, ['read'], [B])] },
    deep: true,
  },
  {
    name: 'a clock steps during an outage',
    setting: { clients: setAndRead, cuts: 1, steps: 1, forGood: true },
    deep: true,
  },
  {
    name: 'set and read on either side, a store hangs, the writer is killed',
    setting: { clients: [on(0, ['set']), on(1, ['read'])], hangs: 1, crashes: 1 },
    deep: true,
  },
  {
    name: 'a link cut and back, a command lost or late',
    setting: { clients: [on(0, ['set']), on(1, ['read'])], cuts: 1, timeouts: 1 },
    deep: true,
  },
  {
    name: 'set, then delete, a command lost or late',
    setting: { clients: [on(0, ['set', 'delete']), on(1, ['read'])], timeouts: 1 },
    deep: true,
  },
  {
    name: 'a third process that only ticks and repays, a link cut',
    setting: { clients: [on(0, ['set']), on(1, ['read'])], processes: 3, cuts: 1, forGood: true },
    deep: true,
  },
  {
    name: 'a store hangs and is back, a link is cut and back',
    setting: { clients: setAndRead, hangs: 1, cuts: 1 },
    deep: true,
  },
  {
    name: 'two reads with moves between them, a store hangs',
    setting: { clients: [on(0, ['set']), on(1, ['read', 'read'])], hangs: 1 },
    deep: true,
  },
  {
    name: 'a store is emptied while a write is between its legs',
    setting: { clients: [on(0, ['set']), on(1, ['read', 'read'])], flushes: 1 },
    deep: true,
  },
  {
    name: 'a delete with a late leg, a link cut',
    setting: { clients: [on(0, ['delete'], [A]), on(1, ['read'])], timeouts: 1, cuts: 1 },
    deep: true,
  },
  {
    name: 'a store is emptied, a store hangs',
    setting: { clients: setAndRead, flushes: 1, hangs: 1 },
    deep: true,
  },
  {
    name: 'clear and two reads, a load under way',
    setting: { clients: [on(0, ['clear'], [A]), on(1, ['read', 'read'], [B, B])] },
    deep: true,
  },
  {
    name: 'a clock steps, a store hangs and is back',
    setting: { clients: setAndRead, hangs: 1, steps: 1 },
    deep: true,
  },
]

/** With this rule left out, there must be a story that ends in a stale read. */
export interface PairRefuted {
  readonly rule: keyof PairRules
  /** Rules that hide it, and are left out too. */
  readonly also?: readonly (keyof PairRules)[]
  readonly setting: PairSetting
  /** Too many states for every test run: all of it, or only that the whole protocol holds. */
  readonly deep?: boolean
  readonly deepHold?: boolean
}

export const PAIR_REFUTED: readonly PairRefuted[] = [
  { rule: 'licence', setting: cutOff, deepHold: true },
  { rule: 'debtsOnBoard', setting: cutOff, deepHold: true },
  { rule: 'whoTurnsWaits', setting: cutOff, deepHold: true },
  {
    rule: 'whoFindsWaits',
    setting: {
      clients: [on(0, ['set'], [A]), on(1, ['read'], [B]), on(2, ['set'], [A])],
      cuts: 2,
      crashes: 1,
      forGood: true,
      unsplit: true,
    },
    deep: true,
  },
  {
    rule: 'looksAfterWait',
    also: ['waitIsUnbroken'],
    setting: { clients: setAndRead, hangs: 1, cuts: 1, forGood: true },
    deepHold: true,
  },
  { rule: 'waitIsUnbroken', setting: { clients: setAndRead, hangs: 1, cuts: 1 }, deep: true },
  {
    rule: 'waitLooksForDebt',
    setting: { ...cutOff, evictions: 1, flushed: [A] },
    deep: true,
  },
  {
    rule: 'licenceEndsAbsolutely',
    setting: { clients: setAndRead, cuts: 1, lateTicks: 1, forGood: true },
    deepHold: true,
  },
  { rule: 'asksBeforeRead', setting: cutOff, deepHold: true },
  { rule: 'asks', setting: cutOff, deepHold: true },
  {
    rule: 'debtsHaveGenerations',
    setting: { ...cutOff, owedByB: true, settling: true, a: ['V', 1, 't1', 0] },
    deepHold: true,
  },
  {
    rule: 'repaidAfterDeadline',
    setting: { clients: [on(0, ['set', 'delete'], [B, B]), on(1, ['read'], [B])], timeouts: 1 },
    deep: true,
  },
  {
    rule: 'lostWritesEndLate',
    setting: {
      clients: [on(0, ['set', 'set'], [B, B]), on(1, ['read'], [B])],
      timeouts: 1,
      cuts: 1,
    },
    deep: true,
  },
  {
    rule: 'soloNeedsEra',
    setting: { clients: setAndRead, hangs: 1, cuts: 1, forGood: true },
    deepHold: true,
  },
  {
    rule: 'soloOnlyInSilence',
    setting: { clients: setAndRead, processes: 3, cuts: 2, forGood: true },
    deep: true,
  },
  {
    rule: 'movesAskTrust',
    setting: {
      clients: [on(0, ['delete'], [B]), on(1, ['read'], [B])],
      cuts: 1,
      expiries: 1,
      a: ['V', 1, 't1', 0],
    },
    deepHold: true,
  },
  {
    rule: 'fillIsConditional',
    setting: { clients: [on(0, ['set'], [A]), on(1, ['read', 'read'], [B, B])], b: null },
  },
  {
    rule: 'fillNamesEra',
    setting: { clients: deleteAndReads, flushes: 1, flushed: [B], b: null },
    deep: true,
  },
  {
    rule: 'peerRemembered',
    setting: { clients: [on(0, ['read'], [B])], ...owedByB, evictions: 1, flushed: [A] },
  },
  {
    // A clear that fences both stores first leaves no room for this story; one that does not is short enough.
    rule: 'eraWithCell',
    also: ['clearEmptiesLast'],
    setting: { clients: [on(0, ['clear'], [A]), on(1, ['read'], [B])] },
    deepHold: true,
  },
  {
    rule: 'clearWaits',
    setting: { clients: [on(0, ['clear'], [A]), on(1, ['read'], [B])] },
    deepHold: true,
  },
  {
    rule: 'noMoveIntoYoungEra',
    setting: {
      clients: [on(0, ['set'], [A]), on(1, ['read', 'read'], [A, A])],
      flushes: 1,
      flushed: [A],
    },
    deep: true,
  },
  {
    rule: 'movesAskAgain',
    setting: clearAndMove,
  },
  {
    rule: 'clearEmptiesLast',
    setting: clearAndMove,
    deepHold: true,
  },
  {
    rule: 'clearOutwaitsMoves',
    setting: { ...clearAndMove, timeouts: 1 },
    deep: true,
  },
  { rule: 'alonePendingOnBoth', setting: alone, deepHold: true },
  { rule: 'aloneInOrder', setting: { ...alone, flushes: 1, flushed: [A] }, deep: true },
  {
    rule: 'stepRestartsWait',
    setting: {
      clients: [on(0, ['set'], [A]), on(1, ['read'], [B]), on(2, ['set'], [A])],
      cuts: 2,
      crashes: 1,
      steps: 1,
      flushed: [A],
      forGood: true,
    },
    deep: true,
  },
  {
    rule: 'stepEndsLicence',
    setting: { clients: setAndRead, cuts: 2, steps: 1, flushed: [B], forGood: true },
    deep: true,
  },
]
