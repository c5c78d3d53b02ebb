import { request } from 'node:http'
import { connect } from 'node:net'
import { isSwitchbackError, type SwitchbackError } from '../../errors.ts'
import { compareServed, loadFlags } from '../../rollout/index.ts'
import { type DoctorFinding, ok, problem, skipped, warning } from './finding.ts'

/** flagd's other ports, beside OFREP. */
export interface FlagdPorts {
  readonly evaluation: number
  readonly management: number
  readonly sync: number
}

const timeoutMs = 1500

/** Checks flagd: each of its ports, its version, its clock, and whether it serves the file. */
export async function checkFlagd(
  url: string,
  ports: FlagdPorts,
  file: string | SwitchbackError,
  flag: string,
): Promise<DoctorFinding[]> {
  const host = new URL(url).hostname.replace(/^\[|\]$/g, '')
  const [evaluation, sync, management, served] = await Promise.all([
    reaches(host, ports.evaluation),
    reaches(host, ports.sync),
    checkManagement(host, ports.management),
    checkServed(url, file, flag),
  ])
  const port = (name: string, number: number, open: boolean, use: string): DoctorFinding =>
    open
      ? ok(name, `${host}:${number} accepts connections`)
      : warning(name, `nothing accepts connections at ${host}:${number}`, use)
  return [
    ...served,
    port(
      'flagd rpc',
      ports.evaluation,
      evaluation,
      'needed by providers in rpc mode; --ports names others',
    ),
    port(
      'flagd sync',
      ports.sync,
      sync,
      'needed by providers in in-process mode; --ports names others',
    ),
    ...management,
  ]
}

async function checkServed(
  url: string,
  file: string | SwitchbackError,
  flag: string,
): Promise<DoctorFinding[]> {
  try {
    if (typeof file !== 'string') throw file
    const document = await loadFlags(file)
    const { state, detail, probes, agreeing } = await compareServed(document, {
      flag,
      url,
      timeoutMs,
    })
    if (state === 'same')
      return [ok('served', `flagd at ${url} serves what the file says (${probes} probes)`)]
    if (state === 'unreachable') {
      return [
        problem(
          'served',
          detail,
          'start flagd (restart it if it hangs), or name its OFREP address with --flagd',
        ),
      ]
    }
    return [
      problem(
        'served',
        `flagd serves something other than the file says (${probes - agreeing} of ${probes} probes: ${detail})`,
        deadWatch,
      ),
    ]
  } catch (error) {
    if (isSwitchbackError(error))
      return [skipped('served', `nothing to compare with: ${error.message}`)]
    throw error
  }
}

const deadWatch =
  'restart flagd: its file watch ends when the file was missing for seconds or unreadable, while /readyz ' +
  'stays 200. If that does not help: mount the directory instead of the file, look for a second source ' +
  'in --sources, and check its log for rejected content'

async function checkManagement(host: string, port: number): Promise<DoctorFinding[]> {
  const [ready, metrics] = await Promise.all([
    get(host, port, '/readyz'),
    get(host, port, '/metrics'),
  ])
  if (ready === undefined) {
    const remedy = "flagd's management port; --ports names another"
    return [warning('flagd ready', `nothing answers at ${host}:${port}`, remedy)]
  }
  const found: DoctorFinding[] = [
    ready.status === 200
      ? ok('flagd ready', `${host}:${port}/readyz says 200`)
      : problem(
          'flagd ready',
          `${host}:${port}/readyz says ${ready.status}`,
          'check the log of flagd',
        ),
  ]
  const version = /service_version="v?([^"]+)"/.exec(metrics?.body ?? '')?.[1]
  if (version !== undefined) found.push(checkVersion(version))
  if (ready.date !== undefined) {
    const skew = Math.round((ready.date - Date.now()) / 1000)
    if (Math.abs(skew) > 2) {
      found.push(
        warning(
          'clock',
          `flagd's clock is ${Math.abs(skew)} s ${skew > 0 ? 'ahead of' : 'behind'} this one`,
          'synchronise the clocks (NTP): modification times and rules by time depend on them',
        ),
      )
    }
  }
  return found
}

/**
 * Before 0.15 another formula chose the buckets: half of the users change sides on such an upgrade.
 */
function checkVersion(version: string): DoctorFinding {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major === 0 && minor < 15
    ? warning(
        'flagd version',
        `${version} buckets users differently from 0.15 and later`,
        'upgrade at 0 % or 100 %, because half of the users change sides; previews here follow 0.15',
      )
    : ok('flagd version', version)
}

function reaches(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: timeoutMs })
    const end = (open: boolean) => {
      socket.destroy()
      resolve(open)
    }
    socket.once('connect', () => end(true))
    socket.once('timeout', () => end(false))
    socket.once('error', () => end(false))
  })
}

interface Answer {
  readonly status: number
  readonly body: string
  /** Epoch milliseconds of the answer's Date header. */
  readonly date: number | undefined
}

function get(host: string, port: number, path: string): Promise<Answer | undefined> {
  return new Promise((resolve) => {
    const signal = AbortSignal.timeout(timeoutMs)
    const call = request({ host, port, path, signal }, (response) => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        body += chunk
        if (body.length > 4_000_000) response.destroy()
      })
      response.on('close', () => {
        const date = Date.parse(response.headers.date ?? '')
        const status = response.statusCode ?? 0
        resolve({ status, body, date: Number.isNaN(date) ? undefined : date })
      })
    })
    call.on('error', () => resolve(undefined))
    call.end()
  })
}
