import type { Topology } from './stage.ts'

/** How often a client draws each operation, relative to the others. */
export interface Mix {
  readonly get: number
  readonly getOrSet: number
  /** `getOrSet` whose load takes up to `slowMs`. */
  readonly slow: number
  /** `getOrSet` whose load needs up to three others. */
  readonly nested: number
  readonly set: number
  readonly delete: number
  readonly deleteMany: number
  /** A set and a delete of one key, amid reads of it. */
  readonly burst: number
  readonly clear: number
}

/** Where a process asks for the side of a user. `random`: each operation draws. */
export type Source = 'random' | 'rpc' | 'in-process' | 'file'

/** A way to look for one family of faults. */
export interface Profile {
  readonly topology: Topology
  /** The old side is a Redis too, which all share. @default files */
  readonly old: Topology | undefined
  /** Each process is a machine of its own, with an old side of its own. @default all are one machine */
  readonly machines: 'files' | 'memory' | undefined
  readonly faults: readonly string[]
  readonly sources: readonly Source[]
  readonly clients: number
  readonly keys: number
  /** Of one switch each; a process draws one for each of its lives. */
  readonly stages: readonly object[]
  readonly tombstoneTtls: readonly number[]
  readonly slowMs: number
  /** Share of values that live from 1 ms to 10 minutes; most others live 10 minutes. */
  readonly shortTtls: number
  /** Share of the bursts that end with a `clear` in the place of a `delete`. */
  readonly clearing: number
  readonly aborts: number
  readonly pauseMs: number
  /** Share of the requests to a store, and of the answers, that wait on their way. */
  readonly slowLegs: number
  /** How long, at most. */
  readonly legMs: { readonly off: number; readonly on: number }
  readonly mix: Mix
  readonly originConcurrency: number
  readonly boundMs: number
  readonly names: readonly string[]
  readonly throwing: boolean
  readonly recycleMs: number
  /** True: one of the processes finds another boot id than the others. */
  readonly foreignBoot: boolean
  readonly refusals: readonly string[]
  /** The pauses between two faults are so many times as long. */
  readonly calm: number
  /** The same of those of the processes and their network. @default as `calm` */
  readonly hostCalm?: number
  /** Bytes go through a proxy that can hold them back. */
  readonly proxied: boolean
  /** Each process and store is a machine of a network of its own, if that can be made; else links are proxies. */
  readonly nets: boolean
  /** The clock of one process is ahead by so much from the start, and one a little behind. */
  readonly clocksApartMs: number
}

const MIX: Mix = {
  get: 36,
  getOrSet: 26,
  slow: 4,
  nested: 3,
  set: 14,
  delete: 11,
  deleteMany: 3,
  burst: 0.5,
  clear: 0.02,
}

const BASE: Profile = {
  topology: 'standalone',
  old: undefined,
  machines: undefined,
  faults: [],
  sources: ['random', 'random', 'random'],
  clients: 6,
  keys: 12,
  stages: [
    { standby: 'invalidate' },
    { standby: 'invalidate' },
    { standby: 'mirror' },
    { standby: 'compare', compareShare: 0.2 },
  ],
  tombstoneTtls: [120_000],
  slowMs: 100,
  shortTtls: 0.15,
  clearing: 0,
  aborts: 0.03,
  pauseMs: 3,
  slowLegs: 0.05,
  legMs: { off: 60, on: 60 },
  mix: MIX,
  originConcurrency: 64,
  boundMs: 3000,
  names: ['cache'],
  throwing: false,
  recycleMs: 0,
  foreignBoot: false,
  refusals: [],
  calm: 1,
  proxied: true,
  nets: false,
  clocksApartMs: 0,
}

/** No breaker opens: each operation finds out for itself, and what is owed is repaid at once. */
const PATIENT = {
  breaker: { window: 31, failures: 31, probeIntervalMs: 20 },
  deadlineMs: { off: 1000 },
} as const

const CONNECTION = [
  'freeze',
  'stall',
  'cut',
  'slow',
  'refuse',
  'narrow',
  'clientKill',
  'clientPause',
]
const RESTARTS = ['killEmpty', 'killWithOldData', 'flushAll', 'forgetScripts']

/** Two Redis, which all processes share: the first write of an outage waits, up to 5 s. */
const PAIR: Profile = {
  ...BASE,
  old: 'standalone',
  faults: [...CONNECTION, ...RESTARTS, 'fullMemory', 'killProcess', 'cutLink', 'refuseLink'],
  stages: [{ standby: 'invalidate' }, { standby: 'invalidate' }, { standby: 'mirror' }],
  // Seconds until both stores are in use again: with a fault a second nothing would be cached.
  calm: 6,
  mix: { ...MIX, clear: 0.002 },
  boundMs: 8000,
}

const MACHINES: Profile = {
  ...BASE,
  machines: 'files',
  faults: [...CONNECTION, 'flushAll', 'killProcess', 'freezeProcess', 'cutLink', 'refuseLink'],
  // So that there are times in which a second is the bound, and keys that nobody writes for longer.
  calm: 20,
  keys: 100,
  stages: [{ standby: 'invalidate' }, { standby: 'invalidate' }, { standby: 'mirror' }],
}

const NETS = ['cutLink', 'cutLink', 'refuseLink', 'unplug', 'killProcess', 'freezeProcess']

const NET_PAIRS: Profile = {
  ...PAIR,
  nets: true,
  clocksApartMs: 3_600_000,
  faults: [
    ...NETS,
    'freeze',
    'freeze',
    'unplugStore',
    'unplugStore',
    'killEmpty',
    'killWithOldData',
  ],
  calm: 14,
  hostCalm: 1.5,
}

/** All of a store is one site: its servers reach each other while nobody reaches them. */
const NET_SITES: Profile = {
  ...NET_PAIRS,
  faults: [...NETS, 'unplugStore', 'freeze', 'killEmpty', 'killProcess'],
  keys: 24,
}

const NET_MACHINES: Profile = {
  ...MACHINES,
  nets: true,
  clocksApartMs: 3_600_000,
  faults: [...NETS, 'replaceMachine', 'unplugStore', 'freeze', 'flushAll', 'killWithOldData'],
  calm: 20,
  hostCalm: 2,
}

/** Each is a section of `npm run test:chaos`; `--profile` picks some. */
export const PROFILES: Readonly<Record<string, Profile>> = {
  /** Redis hangs and comes back while other processes write to the file store. */
  outage: {
    ...BASE,
    faults: ['hiccups', 'hiccups', 'hiccups', 'flap', 'fullMemory', 'busyStore'],
    keys: 40,
    clients: 10,
    stages: [
      { ...PATIENT, standby: 'invalidate' },
      { ...PATIENT, standby: 'mirror' },
    ],
    slowLegs: 0.3,
    legMs: { off: 400, on: 40 },
    mix: { ...MIX, burst: 20 },
    proxied: false,
  },
  everything: {
    ...BASE,
    faults: [
      ...CONNECTION,
      ...RESTARTS,
      'fullMemory',
      'killProcess',
      'freezeProcess',
      'busyStore',
      'diskFull',
      'damageStore',
      'garbageStore',
      'truncateStore',
      'deleteDirectory',
    ],
  },
  /** Redis loses what it had, amid loads that outlive its tombstones. */
  losses: {
    ...BASE,
    faults: [...RESTARTS, 'swapDb', 'replicaOf', 'killProcess'],
    tombstoneTtls: [1500],
    slowMs: 4500,
    keys: 300,
    clients: 30,
    mix: { ...MIX, burst: 30 },
  },
  clear: {
    ...BASE,
    faults: ['slow', 'stall', 'freeze', 'killProcess', 'busyStore'],
    keys: 300,
    clearing: 0.6,
    slowLegs: 0.3,
    mix: { ...MIX, burst: 10, clear: 0.3 },
  },
  /** Processes of a rolling deploy, each with another stage of the migration. */
  stages: {
    ...BASE,
    faults: ['flap', 'freeze', 'killEmpty', 'killProcess', 'restartAll', 'cut'],
    stages: [...BASE.stages, { retire: 'off' }],
    recycleMs: 3000,
    keys: 8,
  },
  /** Loads that need other loads, more of them than there are slots. */
  nested: {
    ...BASE,
    faults: ['freeze', 'killEmpty', 'cut', 'killProcess'],
    mix: { ...MIX, nested: 40 },
    keys: 40,
    clients: 16,
    originConcurrency: 4,
    aborts: 0.1,
  },
  files: {
    ...BASE,
    faults: [
      'deleteDirectory',
      'deleteDirectoryAtRest',
      'damageStore',
      'garbageStore',
      'truncateStore',
      'diskFull',
      'busyStore',
      'freeze',
      'killEmpty',
      'killProcess',
    ],
  },
  /** A process stopped in the middle of a write to the file store; nobody else waits for it. */
  frozenWriter: {
    ...BASE,
    faults: ['frozenWriter', 'flap', 'freezeShortly'],
    boundMs: 1500,
    proxied: false,
  },
  clocks: {
    ...BASE,
    faults: [
      'stepHour',
      'stepHost',
      'clockJump',
      'clockSkew',
      'killEmpty',
      'freeze',
      'killProcess',
    ],
    keys: 8,
  },
  boots: {
    ...BASE,
    faults: ['reboot', 'restartAll', 'freeze', 'killEmpty', 'stepHost'],
    keys: 8,
  },
  /** Two machines on one directory, or a container that shows another boot id. */
  twoMachines: {
    ...BASE,
    faults: ['freeze', 'restartAll'],
    foreignBoot: true,
    refusals: ['SB_DIRECTORY_SHARED'],
  },
  /** Processes that come and go ten times a second, and stop at any moment. */
  kills: {
    ...BASE,
    faults: ['killOften', 'freezeShortly', 'freezeProcess', 'freeze', 'killEmpty', 'busyStore'],
    keys: 8,
    proxied: false,
  },
  /** Values that live some milliseconds, and tombstones of different lives in a deploy. */
  lives: {
    ...BASE,
    faults: ['freeze', 'killProcess', 'cut', 'restartAll'],
    tombstoneTtls: [20_000, 400],
    slowMs: 6000,
    clients: 30,
    shortTtls: 0.8,
    keys: 300,
    mix: { ...MIX, burst: 30 },
  },
  /** Listeners that throw, switches that are closed amid operations. */
  manners: {
    ...BASE,
    faults: ['flap', 'killEmpty', 'cut', 'killProcess'],
    throwing: true,
    recycleMs: 1000,
  },
  /** Two caches of different names, made over one directory. */
  twoNames: {
    ...BASE,
    faults: ['freeze'],
    names: ['profiles', 'permissions'],
    refusals: ['SB_DIRECTORY_NAMES'],
  },
  flags: {
    ...BASE,
    faults: [
      'editFlags',
      'breakFlags',
      'killFlagSource',
      'hangFlagSource',
      'flapFlagSource',
      'freeze',
      'killProcess',
      'cut',
    ],
    sources: ['random', 'rpc', 'in-process', 'file'],
  },
  cluster: {
    ...BASE,
    topology: 'cluster',
    sources: ['random', 'random', 'rpc'],
    faults: [
      ...CONNECTION,
      ...RESTARTS,
      'fullMemory',
      'failover',
      'plannedFailover',
      'moveSlot',
      'killProcess',
      'editFlags',
    ],
    keys: 24,
  },
  sentinel: {
    ...BASE,
    topology: 'sentinel',
    sources: ['random', 'random', 'in-process'],
    faults: [
      ...CONNECTION,
      ...RESTARTS,
      'failover',
      'demote',
      'splitBrain',
      'killProcess',
      'hangFlagSource',
    ],
    keys: 24,
  },
  /** From one Redis to another, either of them out, cut off from one process, or without what it had. */
  pairs: PAIR,
  /** Outages that are as long as a licence lives, processes stopped for as long, or closed just after a write. */
  pairOutages: {
    ...PAIR,
    faults: ['freeze', 'flap', 'killProcess', 'freezeProcess', 'restartAll'],
    recycleMs: 2000,
    keys: 40,
    slowLegs: 0.2,
    mix: { ...MIX, burst: 20, clear: 0.002 },
    proxied: false,
  },
  pairLosses: {
    ...PAIR,
    faults: [...RESTARTS, 'freeze', 'swapDb', 'killProcess'],
    keys: 40,
    clearing: 0.02,
    mix: { ...MIX, burst: 20, clear: 0.01 },
  },
  pairCluster: {
    ...PAIR,
    topology: 'cluster',
    faults: [...CONNECTION, 'killEmpty', 'plannedFailover', 'moveSlot', 'killProcess'],
    keys: 24,
  },
  pairSentinel: {
    ...PAIR,
    topology: 'sentinel',
    faults: [...CONNECTION, ...RESTARTS, 'failover', 'demote', 'demote', 'killProcess'],
    keys: 24,
  },
  /** Several machines with files of their own, and one Redis. */
  machines: MACHINES,
  machinesInMemory: {
    ...MACHINES,
    machines: 'memory',
    faults: [...CONNECTION, ...RESTARTS, 'killProcess', 'freezeProcess', 'cutLink', 'refuseLink'],
  },
  /** As `pairs`, on a network of its own: each process and store is a machine, and packets vanish without a word. */
  netPairs: NET_PAIRS,
  netPairCluster: {
    ...NET_SITES,
    topology: 'cluster',
    faults: [...NET_SITES.faults, 'plannedFailover', 'moveSlot', 'moveSlot'],
  },
  netPairSentinel: {
    ...NET_SITES,
    topology: 'sentinel',
    faults: [...NET_SITES.faults, 'killWithOldData', 'failover', 'demote'],
  },
  /** As `machines` and `machinesInMemory`, there; machines are deleted too, and one has a clock that is an hour ahead. */
  netMachines: NET_MACHINES,
  netMachinesInMemory: { ...NET_MACHINES, machines: 'memory' },
  /** What docs/guarantees.md bounds by the TTL: counted apart, and held to that bound. */
  bounded: {
    ...BASE,
    faults: ['evict', 'stepRedis', 'killProcess', 'freeze'],
    shortTtls: 0.6,
  },
}
