import type {
  FleetCell,
  FleetClient,
  FleetPlace,
  FleetRules,
  FleetSetting,
} from './private-sides.ts'

const on = (
  process: number,
  does: FleetClient['does'],
  sides?: (FleetPlace | undefined)[],
): FleetClient => (sides === undefined ? { process, does } : { process, does, sides })

const V1: FleetCell = ['V', 1, 't0', 'new']
/** The second machine has v1, and nothing of the key is in Redis. */
const had = [null, V1]
const setAndRead = [on(0, ['set']), on(1, ['read'])]
const setAndReads = [on(0, ['set']), on(1, ['read', 'read'])]

export interface FleetHeld {
  readonly name: string
  readonly setting: FleetSetting
  /** Too many states for every test run. */
  readonly deep?: boolean
}

export const FLEET_HELD: readonly FleetHeld[] = [
  { name: 'two machines, a set and two reads', setting: { clients: setAndReads, had } },
  { name: 'a gap', setting: { clients: setAndRead, gaps: 1, had } },
  {
    name: 'a gap, two expiries',
    setting: { clients: setAndReads, gaps: 1, expiries: 2, had },
    deep: true,
  },
  {
    name: 'a set, a delete',
    setting: { clients: [on(0, ['set', 'delete']), on(1, ['read', 'read'])], had },
    deep: true,
  },
  {
    name: 'both machines write',
    setting: { clients: [on(0, ['set']), on(1, ['set']), on(1, ['read'])], had },
    deep: true,
  },
  {
    name: 'both machines write, a gap',
    setting: {
      clients: [on(0, ['set'], ['R']), on(1, ['set'], ['F']), on(1, ['read', 'read'], ['F', 'F'])],
      gaps: 1,
    },
    deep: true,
  },
  {
    name: 'a restart, two expiries',
    setting: { clients: setAndReads, restarts: 1, expiries: 2, had },
    deep: true,
  },
  {
    name: 'two processes on one machine, another writes',
    setting: {
      clients: [on(0, ['set']), on(1, ['read'], ['F']), on(2, ['read', 'read'], ['F', 'F'])],
      machines: [0, 1, 1],
      had,
    },
    deep: true,
  },
  {
    name: 'three machines',
    setting: {
      clients: [on(0, ['set']), on(1, ['set'], ['F']), on(2, ['read'])],
      had: [null, null, V1],
    },
    deep: true,
  },
  {
    name: 'a cut, debts',
    setting: { clients: [on(1, ['set']), on(0, ['set'], ['R']), on(1, ['read'])], cuts: 1, had },
    deep: true,
  },
  {
    name: 'Redis refuses the writes of one machine',
    setting: {
      clients: [on(1, ['set']), on(0, ['set'], ['R']), on(1, ['read'])],
      refusals: 1,
      had,
    },
    deep: true,
  },
  {
    name: 'Redis refuses the writes of one machine, the writer there on the old side',
    setting: {
      clients: [on(1, ['set'], ['F']), on(0, ['set'], ['R']), on(1, ['read'], ['F'])],
      refusals: 1,
      had,
    },
  },
  { name: 'Redis is emptied', setting: { clients: setAndReads, flushes: 1, had }, deep: true },
  {
    name: 'Redis is emptied, a gap',
    setting: {
      clients: [on(0, ['set'], ['R']), on(1, ['read', 'read'])],
      flushes: 1,
      gaps: 1,
      had,
    },
    deep: true,
  },
  {
    name: 'a machine is cut off, alone for too long',
    setting: { clients: setAndReads, cuts: 1, lonely: 2, had },
    deep: true,
  },
]

/** With this rule left out, there must be a story that ends in a stale read. */
export interface FleetRefuted {
  readonly rule: keyof FleetRules
  readonly setting: FleetSetting
  /** That the whole protocol holds here takes too many states for every test run. */
  readonly deepHold?: boolean
}

export const FLEET_REFUTED: readonly FleetRefuted[] = [
  { rule: 'follows', setting: { clients: setAndRead, had } },
  { rule: 'proof', setting: { clients: setAndRead, gaps: 1, had }, deepHold: true },
  { rule: 'gapIsDoubt', setting: { clients: setAndRead, gaps: 1, had }, deepHold: true },
  {
    rule: 'gapCountsFromProof',
    setting: {
      clients: [on(0, ['set'], ['R']), on(1, ['read'], ['F'])],
      gaps: 1,
      expiries: 1,
      had,
    },
  },
  {
    rule: 'foundIsDoubt',
    setting: { clients: [on(0, ['set'], ['R']), on(1, ['read'], ['F'])], restarts: 1, had },
  },
  { rule: 'doubtAsks', setting: { clients: setAndRead, had } },
  { rule: 'onlyNamedConfirms', setting: { clients: setAndRead, had } },
  { rule: 'absenceOnlyYoung', setting: { clients: setAndRead, expiries: 1, had } },
  {
    rule: 'absenceInEra',
    setting: { clients: [on(0, ['set'], ['R']), on(1, ['read'], ['F'])], flushes: 1, had },
  },
  {
    rule: 'confirmSeesPush',
    setting: {
      clients: [on(0, ['set'], ['R']), on(1, ['read', 'read'], ['F', 'F'])],
      restarts: 1,
      had,
    },
  },
  {
    rule: 'fillSeesPush',
    setting: { clients: [on(0, ['set'], ['R']), on(1, ['read', 'read'], ['F', 'F'])] },
  },
  {
    rule: 'movesOnlyConfirmed',
    setting: { clients: [on(0, ['set'], ['F']), on(1, ['read'], ['R'])], expiries: 1, had },
  },
  {
    rule: 'movesLand',
    setting: { clients: [on(0, ['set'], ['R']), on(1, ['read'], ['R'])], flushes: 1, had },
  },
  {
    rule: 'owedIsMiss',
    setting: {
      clients: [on(1, ['set'], ['F']), on(0, ['set'], ['R']), on(1, ['read'], ['F'])],
      refusals: 1,
      had,
    },
    deepHold: true,
  },
  {
    rule: 'aloneEnds',
    setting: { clients: [on(0, ['set'], ['R']), on(1, ['read'], ['F'])], cuts: 1, lonely: 1, had },
    deepHold: true,
  },
]
