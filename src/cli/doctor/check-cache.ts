import { statfsSync } from 'node:fs'
import { inspectStores, type StoreReport } from './inspect-stores.ts'
import { messageOf } from '../../errors.ts'
import { type DoctorFinding, ok, problem, skipped, warning } from './finding.ts'

const check = 'file cache'
/** File systems shared between machines: NFS, SMB, CIFS, and FUSE, which mostly is. */
const NETWORK = new Set([0x6969, 0x517b, 0xff534d42, 0xfe534d42, 0x65735546])
/** Loads of half as long are not unusual. */
const SHORT_MS = 10_000
/** Further ahead than a deadline and its slack reach. */
const FAR_MS = 60_000

/**
 * Checks the directory of the file cache: its disk, its boot ids, pending invalidations, and its
 * clock.
 */
export function checkCache(directory: string): DoctorFinding[] {
  let stores: readonly StoreReport[]
  try {
    stores = inspectStores(directory)
    if (stores.length === 0) return [skipped(check, `${directory} has no file cache yet`)]
  } catch (error) {
    const text = `${directory} cannot be read: ${messageOf(error)}`
    return [problem(check, text, 'check its owner, its permissions and its disk')]
  }
  return [...onNetwork(directory), ...stores.flatMap((store) => [...ofStore(store)])]
}

function onNetwork(directory: string): DoctorFinding[] {
  if (!NETWORK.has(statfsSync(directory).type)) return []
  const remedy = 'give each machine a directory on its own disk'
  return [
    problem(check, `${directory} is on a network disk, where file locks are not reliable`, remedy),
  ]
}

function* ofStore(store: StoreReport): Generator<DoctorFinding> {
  const { file, version, boot, tombstoneTtl } = store
  if (version === 'newer') {
    const text = `a newer version of Switchback made ${file}; this version does not use it`
    yield problem(check, text, 'update Switchback, or give this version its own directory')
    return
  }
  if (version === 'older') {
    yield ok(check, `an older version of Switchback made ${file}: the application will reset it`)
    return
  }
  if (boot === 'shared') {
    const text = `another machine uses ${file}: this one's boot id was replaced and is here again`
    yield problem(check, text, 'give each machine a directory on its own disk')
  }
  if (boot === 'restarted') {
    yield ok(
      check,
      `${file} is from before this machine was restarted: the application will reset it`,
    )
    return
  }
  if (boot === 'unreadable') {
    const text =
      'the boot id cannot be read, so a power loss cannot be distinguished from a restart'
    yield warning(check, text, 'make /proc/sys/kernel/random/boot_id readable')
  }
  yield* ofLifetimes(file, tombstoneTtl)
  yield* ofClock(store)
  for (const side of ['off', 'on'] as const) yield* ofSide(store, side)
}

function* ofLifetimes(file: string, tombstoneTtl: number): Generator<DoctorFinding> {
  const longest = `loads of more than ${tombstoneTtl / 2000} s are not stored`
  const text = `${file} keeps tombstones for ${tombstoneTtl / 1000} s: ${longest}`
  if (tombstoneTtl >= SHORT_MS) yield ok(check, text)
  else yield warning(check, text, 'raise tombstoneTtl if a load may take that long')
}

function* ofClock({ file, clockAhead }: StoreReport): Generator<DoctorFinding> {
  if (clockAhead < 1000) return
  const by = `${(clockAhead / 1000).toFixed(1)} s`
  const text = `this host's clock was set back by ${by} since ${file} was written`
  yield warning(check, text, `synchronise the clocks (NTP): values may expire up to ${by} later`)
}

function* ofSide({ owed, fencedFor }: StoreReport, side: 'off' | 'on'): Generator<DoctorFinding> {
  const name = side === 'off' ? 'old' : 'new'
  if (owed[side] > 0) {
    const text = `${owed[side]} invalidations are pending for the ${name} side`
    yield warning(
      check,
      text,
      'start the application to deliver them; do not delete the directory before that',
    )
  }
  if (fencedFor[side] === Number.POSITIVE_INFINITY) {
    const text = `nothing of the ${name} side is used until an application process has reached it`
    yield warning(check, text, 'start the application; if it runs, look at its health')
  } else if (fencedFor[side] > FAR_MS) {
    const by = `${Math.round(fencedFor[side] / 1000)} s`
    const text = `the ${name} side is distrusted up to ${by} ahead of this host's clock`
    yield warning(check, text, 'synchronise the clocks (NTP), and start the application')
  }
}
