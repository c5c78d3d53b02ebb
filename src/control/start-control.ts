import { readFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { fastify } from 'fastify'
import { quote, SwitchbackError } from '../errors.ts'
import { packageRoot } from '../package-root.ts'
import { defaultFlagdUrl } from '../rollout/index.ts'
import type { FlagsFile } from '../rollout/public.ts'
import type { ProcessesOptions } from '../scrape/index.ts'
import type { GuardView } from './guard-view.ts'
import { Room } from './state/room.ts'
import { builtPage, loadAssets, serveAssets } from './server/assets.ts'
import type { AuditLine } from './audit-line.ts'
import { audit } from './server/request-audit.ts'
import { Changer } from './server/changer.ts'
import { EventHub } from './server/event-hub.ts'
import { answerBrokenControlRequest, answerExpectation } from './server/control-odd-requests.ts'
import { answerControlProblems, sendControlProblem } from './server/control-problem.ts'
import { isLoopback, protect } from './server/protection.ts'
import { apiRoutes } from './server/routes.ts'

export interface ControlOptions {
  /** The flags file, or another place where the flags live. */
  readonly file: FlagsFile
  /** @default 'use-redis' */
  readonly flag?: string
  /** flagd's OFREP address; `false` does not ask it. @default 'http://127.0.0.1:8016' */
  readonly flagd?: string | false
  /** The `/metrics` of each process of the application. @default none */
  readonly replicas?: readonly string[]
  /**
   * The addresses are defaults: one that never answers need not confirm a change.
   * @default false
   */
  readonly guessed?: boolean
  /** A Prometheus whose processes must also confirm changes. @default none */
  readonly prometheus?: ProcessesOptions['prometheus']
  /** @default none: the page says so */
  readonly guard?: GuardView
  /** Where to listen. Anything but loopback needs a {@link token}. @default '127.0.0.1' */
  readonly host?: string
  /** 0: any free port. @default 3001 */
  readonly port?: number
  /** Changes need it, as `authorization: Bearer ...`. @default none on loopback */
  readonly token?: string
  /** Names under which the server may be asked, besides its address, e.g. behind a proxy. @default none */
  readonly allowedHosts?: readonly string[]
  /** The author of changes without a name. @default 'control' */
  readonly operator?: string
  /** Receives every attempt at a change. @default none */
  readonly onAudit?: (line: AuditLine) => void
  /** The directory of the page's compiled scripts. @default beside this module */
  readonly page?: string
}

/** The control page, listening. */
export interface Control extends AsyncDisposable {
  /** E.g. `http://127.0.0.1:3001`. */
  readonly url: string
  close(): Promise<void>
}

/** Shorter tokens can be guessed. */
const SHORTEST_TOKEN = 16
const BODY_LIMIT = 16 * 1024

/**
 * Starts the control page and its API. It works with whatever is available: without metrics, guard
 * or flagd the slider and the rollback still work.
 *
 * @throws {SwitchbackError} `SB_CONTROL_TOKEN_MISSING` when other machines could reach it without a
 * token, `SB_CONTROL_TOKEN_WEAK`, `SB_CONTROL_LISTEN`, `SB_CONTROL_PAGE`, `SB_METRICS_URL_INVALID`.
 */
export async function startControl(options: ControlOptions): Promise<Control> {
  const { file, flag = 'use-redis', flagd = defaultFlagdUrl, operator = 'control' } = options
  const { host = '127.0.0.1', port = 3001, token, allowedHosts = [], onAudit } = options
  checkToken(host, allowedHosts, token)
  const assets = await loadAssets(options.page ?? builtPage)
  const { replicas = [], guard, guessed = false, prometheus } = options
  const room = new Room({ file, flag, flagd, replicas, guessed, guard })
  const processes = (of: string): ProcessesOptions =>
    // Of another switch, those that decide its flag.
    of === flag ? { metrics: room.confirming(of), prometheus } : { metrics: room.confirming(of) }
  const hub = new EventHub()
  const app = fastify({
    bodyLimit: BODY_LIMIT,
    requestTimeout: 10_000,
    forceCloseConnections: true,
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false } },
    // Without a name they get the same answer as any wrong name.
    http: { requireHostHeader: false },
    clientErrorHandler: answerBrokenControlRequest,
    frameworkErrors: (error, _request, reply) => void sendControlProblem(error, reply),
  })
  // First, so that it records refused requests too.
  audit(app, (line) => onAudit?.(line))
  protect(app, { token, hosts: [host, ...allowedHosts] })
  answerControlProblems(app)
  app.server.on('checkExpectation', answerExpectation)
  serveAssets(app, assets)
  const version = await versionOf()
  const info = {
    version,
    flag,
    file: String(file),
    flagd: flagd === false ? '' : flagd,
    token: token !== undefined,
    operator,
    boot: room.boot,
  }
  const changer = new Changer({
    file,
    flag,
    flagd,
    operator,
    processes,
    knows: (of) => room.knows(of),
  })
  apiRoutes(app, { room, changer, hub, info })

  let closing: Promise<void> | undefined
  const stop = async (): Promise<void> => {
    await room.close()
    hub.close()
    await app.close()
  }
  try {
    await app.listen({ host, port })
  } catch (error) {
    await stop()
    throw new SwitchbackError('SB_CONTROL_LISTEN', `cannot listen on ${host}:${port}`, {
      cause: error,
      hint: 'stop the other process, or choose another port with --port (0 for any free one)',
    })
  }
  await room.start({
    tick: (state) => hub.send('tick', state),
    history: (history) => hub.send('history', history),
  })
  const close = (): Promise<void> => (closing ??= stop())
  const { address, port: used } = app.server.address() as AddressInfo
  return { url: `http://${bracketed(address)}:${used}`, close, [Symbol.asyncDispose]: close }
}

function checkToken(
  host: string,
  allowedHosts: readonly string[],
  token: string | undefined,
): void {
  if (token === undefined) {
    const open = [host, ...allowedHosts].find((each) => !isLoopback(each))
    if (open === undefined) return
    throw new SwitchbackError(
      'SB_CONTROL_TOKEN_MISSING',
      `the control page would be reachable from other machines at ${quote(open)}, without a token`,
      {
        hint: 'set a token for changes (SWITCHBACK_CONTROL_TOKEN), or listen on 127.0.0.1',
      },
    )
  }
  if (token.length >= SHORTEST_TOKEN && /^[\x21-\x7e]+$/.test(token)) return
  throw new SwitchbackError(
    'SB_CONTROL_TOKEN_WEAK',
    `the token is shorter than ${SHORTEST_TOKEN} characters or not printable`,
    {
      hint: `use the output of openssl rand -base64 24`,
    },
  )
}

function bracketed(address: string): string {
  return address.includes(':') ? `[${address}]` : address
}

async function versionOf(): Promise<string> {
  const text = await readFile(new URL('package.json', packageRoot()), 'utf8')
  return (JSON.parse(text) as { readonly version: string }).version
}
