import { type Client, FILES, type Operation, REDIS, type Rules, type Setting } from './protocol.ts'

type Place = typeof FILES

const on = (process: number, does: Operation[], sides?: (Place | undefined)[]): Client =>
  sides === undefined ? { process, does } : { process, does, sides }

/** A protocol with all its rules must hold in each of these. */
export interface Held {
  readonly name: string
  readonly setting: Setting
  /** Too many states for every test run. */
  readonly deep?: boolean
}

export const HELD: readonly Held[] = [
  {
    name: 'a set and a read, a command lost or late',
    setting: { clients: [on(0, ['set']), on(1, ['read'])], timeouts: 1 },
  },
  {
    name: 'a delete and two reads while an invalidation is pending',
    setting: { clients: [on(0, ['delete']), on(1, ['read', 'read'])], pending: true },
  },
  {
    name: 'a delete and reads of one process, Redis emptied',
    setting: {
      clients: [on(0, ['delete'], [FILES]), on(0, ['read'], [REDIS]), on(0, ['read'], [REDIS])],
      flushes: 1,
      files: null,
    },
  },
  {
    name: 'a set and reads, Redis emptied',
    setting: {
      clients: [on(0, ['set']), on(1, ['read', 'read'])],
      flushes: 1,
      files: null,
      redis: ['V', 1, 't0', 0],
    },
  },
  {
    name: 'a set and a read, Redis back from a snapshot, a writer killed',
    setting: {
      clients: [on(0, ['set']), on(1, ['read'])],
      snapshots: 1,
      crashes: 1,
      files: null,
      redis: ['V', 1, 't0', 0],
    },
  },
  {
    name: 'a set, a delete and a read, a process does without Redis twice',
    setting: { clients: [on(0, ['set', 'delete']), on(1, ['read'])], outs: 2 },
  },
  {
    name: 'clear and reads',
    setting: { clients: [on(0, ['clear'], [FILES]), on(1, ['read', 'read'])] },
  },
  {
    name: 'two mirrored sets and a read',
    setting: { clients: [on(0, ['mirror']), on(1, ['mirror']), on(1, ['read'])], files: null },
  },
  {
    name: 'writes that cross',
    setting: {
      clients: [on(0, ['mirror']), on(1, ['set', 'mirror'])],
      files: null,
      crossing: true,
    },
  },
  {
    name: 'a tombstone that does not outlive a load',
    setting: {
      clients: [on(0, ['delete'], [FILES]), on(0, ['read'], [REDIS]), on(0, ['read'], [REDIS])],
      expiries: 1,
      files: null,
    },
  },
  {
    name: 'a process that retires the old side beside one that does not',
    setting: {
      clients: [{ process: 0, does: ['set'], retire: true }, on(1, ['read', 'read'])],
      timeouts: 1,
      crashes: 1,
    },
  },
  {
    name: 'Redis emptied twice, or back from a snapshot, while a write is between its legs',
    setting: {
      clients: [on(0, ['set']), on(1, ['read', 'read'])],
      flushes: 2,
      snapshots: 1,
      files: ['V', 1, 't0', 0],
      redis: ['V', 1, 't1', 0],
    },
    deep: true,
  },
  {
    name: 'Redis emptied while a set or a delete is between its legs, two readers in two processes',
    setting: {
      clients: [on(0, ['set', 'delete']), on(1, ['read']), on(0, ['read'])],
      flushes: 1,
      timeouts: 1,
      files: ['V', 1, 't0', 0],
    },
    deep: true,
  },
  {
    name: 'Redis emptied while a write is between its legs, and its process killed',
    setting: {
      clients: [on(0, ['set', 'delete']), on(1, ['read', 'read'])],
      flushes: 1,
      crashes: 1,
      files: ['V', 1, 't0', 0],
    },
    deep: true,
  },
  {
    name: 'set, then delete, beside reads; two commands lost or late',
    setting: { clients: [on(0, ['set', 'delete']), on(1, ['read', 'read'])], timeouts: 2 },
    deep: true,
  },
  {
    name: 'a set and two readers in two processes, a command lost or late, a process killed',
    setting: {
      clients: [on(0, ['set']), on(1, ['read']), on(0, ['read'])],
      timeouts: 1,
      crashes: 1,
    },
    deep: true,
  },
  {
    name: 'set and delete crossing, Redis emptied, a command lost or late',
    setting: {
      clients: [on(0, ['set']), on(1, ['delete']), on(1, ['read'])],
      flushes: 1,
      timeouts: 1,
    },
    deep: true,
  },
  {
    name: 'clear, a set and a reader, Redis emptied',
    setting: { clients: [on(0, ['clear'], [FILES]), on(1, ['set']), on(1, ['read'])], flushes: 1 },
    deep: true,
  },
  {
    name: 'mirrored set, delete and a read, a command lost or late',
    setting: {
      clients: [on(0, ['mirror']), on(1, ['delete']), on(1, ['read'])],
      timeouts: 1,
      files: null,
    },
    deep: true,
  },
]

/** With this rule left out, there must be a story that ends in a stale read. */
export interface Refuted {
  readonly rule: keyof Rules
  /** Rules that hide it, and are left out too. */
  readonly also?: readonly (keyof Rules)[]
  readonly setting: Setting
}

const pendingSet: Setting = { clients: [on(0, ['set']), on(1, ['read'])], timeouts: 1 }
const joining: Setting = {
  clients: [on(0, ['delete'], [FILES]), on(0, ['read'], [REDIS]), on(0, ['read'], [REDIS])],
  expiries: 1,
  files: null,
}

export const REFUTED: readonly Refuted[] = [
  {
    rule: 'repaymentNamesNobody',
    setting: {
      clients: [on(0, ['delete']), on(1, ['read', 'read'], [REDIS, REDIS])],
      pending: true,
    },
  },
  {
    rule: 'fillIsConditional',
    setting: { clients: [on(0, ['set']), on(1, ['read', 'read'])], files: null },
  },
  {
    rule: 'fillNamesEra',
    setting: {
      clients: [on(0, ['delete'], [FILES]), on(1, ['read', 'read'], [REDIS, REDIS])],
      flushes: 1,
      files: null,
    },
  },
  {
    rule: 'lossBeginsEra',
    setting: {
      clients: [on(0, ['delete']), on(1, ['read'])],
      snapshots: 1,
      files: null,
      redis: ['V', 1, 't0', 0],
    },
  },
  {
    rule: 'cellsHaveEra',
    setting: {
      clients: [on(0, ['delete']), on(1, ['read'])],
      snapshots: 1,
      files: null,
      redis: ['V', 1, 't0', 0],
    },
  },
  {
    rule: 'writersLookAgain',
    setting: {
      clients: [on(0, ['set']), on(1, ['read', 'read'])],
      flushes: 1,
      files: ['V', 1, 't0', 0],
    },
  },
  {
    rule: 'writersLookAgain',
    setting: {
      clients: [on(0, ['delete']), on(1, ['read', 'read'])],
      flushes: 1,
      files: ['V', 1, 't0', 0],
    },
  },
  {
    rule: 'movesOnlyOverNothing',
    setting: {
      clients: [on(0, ['delete']), on(1, ['read', 'read'])],
      files: null,
      redis: ['V', 1, 't0', 0],
    },
  },
  { rule: 'joinersNeedLandedFill', setting: joining },
  {
    rule: 'slowFillsRefused',
    setting: {
      clients: [on(0, ['delete'], [REDIS]), on(1, ['read', 'read'], [REDIS, REDIS])],
      expiries: 1,
      files: null,
    },
  },
  {
    rule: 'ownSideFirst',
    setting: { clients: [on(0, ['set'], [FILES]), on(1, ['set'], [REDIS])], crossing: true },
  },
  { rule: 'otherSideTold', setting: { clients: [on(0, ['set']), on(1, ['read'])] } },
  { rule: 'debtBeforeAck', setting: { ...pendingSet, redis: ['V', 1, 't1', 0] } },
  { rule: 'ledgerIsShared', setting: { ...pendingSet, redis: ['V', 1, 't1', 0] } },
  {
    rule: 'trustBeforeRead',
    setting: { clients: [on(0, ['set']), on(1, ['read'])], timeouts: 1, redis: ['V', 1, 't1', 0] },
  },
  {
    rule: 'movesAskTrust',
    setting: {
      clients: [on(0, ['delete']), on(1, ['read'], [FILES])],
      timeouts: 1,
      expiries: 1,
      redis: ['V', 1, 't1', 0],
    },
  },
  {
    rule: 'debtsHaveGenerations',
    setting: {
      clients: [on(0, ['set'], [FILES]), on(1, ['read', 'read'], [REDIS, REDIS])],
      timeouts: 1,
      pending: true,
    },
  },
  {
    rule: 'repaidAfterDeadline',
    setting: {
      clients: [on(0, ['set', 'delete'], [REDIS, REDIS]), on(1, ['read'], [REDIS])],
      timeouts: 1,
    },
  },
  {
    rule: 'lateWritesRefused',
    setting: {
      clients: [on(0, ['set', 'delete'], [REDIS, REDIS]), on(1, ['read'], [REDIS])],
      timeouts: 1,
    },
  },
  {
    rule: 'clearFencesFirst',
    setting: { clients: [on(0, ['clear'], [FILES]), on(1, ['read', 'read'])] },
  },
  {
    rule: 'clearBeginsEra',
    setting: {
      clients: [on(0, ['clear'], [FILES]), on(1, ['read', 'read'], [REDIS, REDIS])],
      files: null,
    },
  },
  {
    rule: 'clearLeavesFloor',
    setting: {
      clients: [on(0, ['clear'], [FILES]), on(1, ['read', 'read'], [FILES, FILES])],
      files: null,
    },
  },
  {
    rule: 'mirrorCompares',
    setting: { clients: [on(0, ['mirror']), on(1, ['delete']), on(1, ['read'])], files: null },
  },
  {
    rule: 'mirrorLooksAgain',
    setting: {
      clients: [on(0, ['mirror'], [FILES]), on(1, ['mirror'], [FILES])],
      files: null,
      crossing: true,
    },
  },
  {
    rule: 'lateNamesRefused',
    setting: {
      clients: [on(0, ['set', 'delete'], [FILES, FILES]), on(1, ['read', 'read'], [REDIS, REDIS])],
      timeouts: 1,
    },
  },
  {
    rule: 'retireStillTells',
    setting: { clients: [{ process: 0, does: ['set'], retire: true }, on(1, ['read'], [FILES])] },
  },
]
