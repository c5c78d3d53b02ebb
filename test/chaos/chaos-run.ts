import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { SmallDisk } from '../support/file-disk.ts'
import { FlagsFile, useRedis } from '../support/flags-files.ts'
import { startRedis } from '../support/redis-server.ts'
import { startSidecarProcess } from '../support/sidecar-process.ts'
import { BootIds } from './boot-ids.ts'
import type { Scene, Struck } from './fault.ts'
import { faultsFor, missing } from './faults.ts'
import { Ground } from './ground.ts'
import { LockHolder } from './lock-holder.ts'
import { aftermath } from './aftermath.ts'
import { watchMasters } from './masters.ts'
import { type Host, netLink, Nets } from './nets.ts'
import type { Profile } from './profiles.ts'
import { strikeAll } from './schedule.ts'
import { startStage } from './stage.ts'
import { type Result, Tally } from './tally.ts'
import { WallClock } from './wall-clock.ts'
import { type Planted, Worker, type WorkerOptions } from './workers.ts'

export interface ChaosOptions {
  readonly name: string
  readonly profile: Profile
  readonly seconds: number
  readonly seed: number
  /** Root of the built package under test. @default this repository */
  readonly package?: string
  readonly planted?: Planted
  /** Goes on until so many faults have struck: on a busy machine one may take all the time. @default 0 */
  readonly least?: number | undefined
  /** Ends at the first finding that breaks a promise. @default false */
  readonly untilFound?: boolean
  /** What happens in the place of the profile's faults. */
  readonly during?: (scene: Omit<Scene, 'random'>) => Promise<void>
  /** Gets the directory of the records before it is removed. */
  readonly onRecords?: (logs: string) => void
}

const DISK_MIB = 256
const LOOK_MS = 500
const EXPIRY_SLACK_MS = 6000
/** Of `clocksApartMs`. Who is behind by more than a value lives stores nothing that anybody can read: expiries are dates. */
const APART = [1, 0, -1 / 180]

/** Runs processes under a random schedule of faults and holds all they are told to the truth. */
export async function runChaos(options: ChaosOptions): Promise<Result> {
  const logs = mkdtempSync(join(tmpdir(), 'switchback-chaos-'))
  const disk = options.profile.faults.includes('diskFull') ? SmallDisk.mount(DISK_MIB) : undefined
  const flags = new FlagsFile()
  const endings: (() => unknown)[] = []
  let keep = false
  /** Synchronous, since it is what an interrupted run has time for. */
  const tidyUp = (): void => {
    disk?.unmount()
    flags[Symbol.dispose]()
    if (!keep) rmSync(logs, { recursive: true, force: true })
  }
  process.once('exit', tidyUp)
  try {
    const result = await run(options, { logs, disk, flags, finallyDo: (one) => endings.push(one) })
    keep = result.problems.length > 0
    options.onRecords?.(logs)
    return result
  } finally {
    // Whatever could not start cannot be stopped either; the others can.
    for (const ending of endings.toReversed()) {
      await Promise.resolve()
        .then(ending)
        .catch(() => undefined)
    }
    process.off('exit', tidyUp)
    tidyUp()
  }
}

interface Site {
  readonly logs: string
  readonly disk: SmallDisk | undefined
  readonly flags: FlagsFile
  readonly finallyDo: (ending: () => unknown) => void
}

async function run(options: ChaosOptions, site: Site): Promise<Result> {
  const { profile, seed, seconds } = options
  const { flags, logs } = site
  const ended = new AbortController()
  flags.write(useRedis(50))
  const scene = await setUp(options, site)
  const { workers, redis, old, sidecar, ground } = scene
  const struck: Struck[] = []
  const tally = new Tally({ options, scene, struck, logs })
  await Promise.all(workers.slice(0, -1).map((worker) => worker.start()))

  const faults = faultsFor(profile.topology, profile.faults, profile.old)
  const present = { ...scene, workers: workers.slice(0, -1), links: scene.links.slice(0, -1) }
  const leftOut = missing(faults, present)
  tally.began()
  const look = setInterval(() => {
    tally.look()
    if (options.untilFound === true && tally.broken) ended.abort()
  }, LOOK_MS)
  site.finallyDo(() => clearInterval(look))
  site.finallyDo(watchMasters(old === undefined ? [redis] : [redis, old], struck))
  await (options.during?.(present) ??
    strikeAll(present, faults, leftOut, {
      seed,
      seconds,
      least: options.least,
      calm: profile.calm,
      hostCalm: profile.hostCalm ?? profile.calm,
      logs,
      struck,
      signal: ended.signal,
      onTrouble: (text) => tally.problem(text),
    }))
  tally.ended(leftOut)
  await scene.nets?.mend()
  await Promise.all([redis.healed(), old?.healed()])
  if (sidecar?.alive === false) await sidecar.restart()
  flags.write(useRedis(50))
  if (!ended.signal.aborted) await aftermath(present.workers, workers.at(-1)!, tally)
  clearInterval(look)
  tally.look()
  ground.close()
  return tally.result()
}

/** Everything that takes part; the last worker is the one that looks at it afterwards. */
async function setUp(options: ChaosOptions, site: Site): Promise<Omit<Scene, 'random'>> {
  const { profile, seed } = options
  const { logs, flags, disk, finallyDo } = site
  const needed = (...names: string[]): boolean => profile.faults.some((one) => names.includes(one))
  const clocks = needed('stepHour', 'stepHost', 'stepRedis', 'clockJump', 'clockSkew')
    ? makeClocks(logs)
    : undefined
  finallyDo(() => [clocks?.app, clocks?.redis].forEach((clock) => clock?.close()))
  const env = clocks?.redis.env ?? {}
  const nets = profile.nets ? await Nets.make() : undefined
  finallyDo(() => nets?.close())
  const { proxied } = profile
  const starting = startStage(profile.topology, { env, proxied, host: await nets?.host() })
  starting.catch(() => undefined)
  finallyDo(async () => (await starting).stop())
  const spare = needed('replicaOf') ? await startRedis({ env }) : undefined
  finallyDo(() => spare?.stop())
  const sidecar = profile.sources.some((source) => source !== 'random')
    ? await startSidecarProcess({ file: flags.path })
    : undefined
  finallyDo(() => sidecar?.kill())
  const redis = await starting
  const old =
    profile.old === undefined
      ? undefined
      : await startStage(profile.old, { env, proxied, host: await nets?.host() })
  finallyDo(() => old?.stop())

  const keys = Array.from({ length: profile.keys }, (_, i) => `key ${i}`)
  const processes = profile.sources.length + 1
  const ground = new Ground(logs, processes, profile.names.length * (keys.length + 1))
  const store = join(disk?.path ?? logs, 'store')
  const boots = needed('reboot') || profile.foreignBoot ? BootIds.make(logs) : undefined
  const environments = {
    random: 'random',
    rpc: { FLAGD_RESOLVER: 'rpc', FLAGD_PORT: `${sidecar?.ports.evaluation}` },
    'in-process': { FLAGD_RESOLVER: 'in-process', FLAGD_SYNC_PORT: `${sidecar?.ports.sync}` },
    file: { FLAGD_RESOLVER: 'file', FLAGD_OFFLINE_FLAG_SOURCE_PATH: flags.path },
  } as const
  const { faults: _, sources, keys: __, proxied: ___, foreignBoot, old: ____, ...drawn } = profile
  const linked = nets === undefined && proxied && needed('cutLink', 'refuseLink')
  const ways = await Promise.all(
    Array.from({ length: linked ? processes : 0 }, () =>
      Promise.all([redis.link(), ...(old === undefined ? [] : [old.link()])]),
    ),
  )
  const hosts: Host[] = []
  if (nets !== undefined) {
    for (let i = 0; i < processes; i += 1) hosts.push(await nets.host())
  }
  const apart = Array.from({ length: profile.clocksApartMs > 0 ? processes : 0 }, (_, i) => {
    const clock = WallClock.make(logs, `p${i}`)
    clock?.step(APART[i % APART.length]! * profile.clocksApartMs)
    return clock
  })
  finallyDo(() => apart.forEach((clock) => clock?.close()))
  const common: Omit<WorkerOptions, 'id' | 'flags' | 'index' | 'directory'> = {
    ...drawn,
    ground: ground.files,
    logs,
    package: resolve(options.package ?? '.'),
    connection: redis.connection,
    old: old?.connection,
    prefix: 'chaos:',
    seed,
    keys,
    users: 2000,
    planted: options.planted,
    // What one stores by its clock, the others read by theirs.
    expirySlackMs: EXPIRY_SLACK_MS + 2 * profile.clocksApartMs,
  }
  const ownOf = (
    index: number,
  ): Pick<WorkerOptions, 'directory' | 'connection' | 'old' | 'host' | 'env'> => {
    const [way, oldWay] = ways[index] ?? []
    return {
      directory: profile.machines === undefined ? store : `${store} ${index}`,
      connection: way?.connection ?? common.connection,
      old: oldWay?.connection ?? common.old,
      host: hosts[index],
      env: (apart[index] ?? clocks?.app)?.env ?? {},
    }
  }
  const workers = sources.map(
    (source, index) =>
      new Worker({
        ...common,
        ...ownOf(index),
        id: `p${index}`,
        index,
        flags: environments[source],
        bootId: foreignBoot && index === 0 ? boots?.other : boots?.machine,
      }),
  )
  const auditor = { id: 'audit', index: processes - 1, flags: 'random', audit: true } as const
  const audits = { ...common, ...ownOf(auditor.index), ...auditor, throwing: false }
  workers.push(new Worker({ ...audits, bootId: boots?.machine }))
  finallyDo(() => workers.forEach((worker) => worker.kill()))
  const holder = needed('busyStore', 'frozenWriter') ? await LockHolder.start(store) : undefined
  finallyDo(() => holder?.kill())
  const stores = [redis.host, old?.host].filter((host) => host !== undefined)
  const links =
    nets === undefined
      ? ways.map((one) => one.map(({ link }) => link))
      : hosts.map((host) => stores.map((store) => netLink(host, store)))
  return {
    redis,
    old,
    links,
    nets,
    spare,
    workers,
    ground,
    store,
    holder,
    keys,
    flags,
    sidecar,
    disk,
    clocks,
    boots,
  }
}

function makeClocks(logs: string): Scene['clocks'] {
  const [app, redis] = [WallClock.make(logs, 'app'), WallClock.make(logs, 'redis')]
  return app === undefined || redis === undefined ? undefined : { app, redis }
}
