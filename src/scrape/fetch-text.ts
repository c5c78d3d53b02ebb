import { get as httpGet, type IncomingMessage } from 'node:http'
import { get as httpsGet } from 'node:https'
import { isIP, type LookupFunction } from 'node:net'
import { SwitchbackError } from '../errors.ts'

export interface FetchOptions {
  /** From the request to the last byte, in milliseconds. */
  readonly timeoutMs: number
  /** More than this is not read. */
  readonly maxBytes: number
  readonly signal?: AbortSignal | undefined
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** Connects to this address, whatever the URL's name resolves to. @default by the name */
  readonly address?: string
}

/**
 * GETs a text as a whole.
 *
 * @throws {SwitchbackError} like {@link fetchPieces}
 */
export async function fetchText(url: URL, options: FetchOptions): Promise<string> {
  let text = ''
  await fetchPieces(url, (piece) => void (text += piece), options)
  return text
}

/**
 * GETs a text in pieces, under one deadline and a bound on its size, so that a slow or endless
 * sender is dropped. Redirects are not followed. The message of an error fits after the replica's
 * name: "refuses the connection".
 *
 * @throws {SwitchbackError} `SB_METRICS_UNREACHABLE`, `SB_METRICS_STATUS`, `SB_METRICS_TOO_LARGE`,
 * and any error of `onText`
 */
export async function fetchPieces(
  url: URL,
  onText: (piece: string) => void,
  { maxBytes, timeoutMs, signal, headers = {}, address }: FetchOptions,
): Promise<void> {
  // Not AbortSignal.any: what that attaches to a long-lived signal is never removed.
  const end = new AbortController()
  const stop = (): void => end.abort(signal?.reason)
  const timer = setTimeout(() => end.abort(late(timeoutMs)), timeoutMs)
  signal?.addEventListener('abort', stop, { once: true })
  try {
    signal?.throwIfAborted()
    const decoder = new TextDecoder()
    let received = 0
    // Leaving the loop by an exception closes the connection.
    for await (const chunk of await open(url, end.signal, headers, address)) {
      received += (chunk as Buffer).byteLength
      if (received > maxBytes) throw tooLarge(maxBytes)
      onText(decoder.decode(chunk as Buffer, { stream: true }))
    }
    onText(decoder.decode())
  } catch (error) {
    // A response that was cut off only says "aborted", whatever the reason.
    const cause: unknown = end.signal.aborted ? end.signal.reason : error
    throw cause instanceof SwitchbackError ? cause : unreachable(cause)
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', stop)
  }
}

/** Not with `fetch`, which refuses addresses with credentials and some ports. */
async function open(
  url: URL,
  signal: AbortSignal,
  headers: Readonly<Record<string, string>>,
  address: string | undefined,
): Promise<IncomingMessage> {
  const get = url.protocol === 'https:' ? httpsGet : httpGet
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    // Kept connections are found by name: the next address would get that of the one before.
    const pinned = address === undefined ? {} : { lookup: always(address), agent: false as const }
    get(url, { signal, headers, ...pinned }, resolve).on('error', reject)
  })
  if (response.statusCode === 200) return response
  response.destroy()
  const message = `answers ${response.statusCode} instead of 200`
  throw new SwitchbackError('SB_METRICS_STATUS', message, {
    hint: 'check the path of the metrics URL, and any proxy before it',
  })
}

/** Resolves every name to one address; the name itself stays in the request. */
function always(address: string): LookupFunction {
  return (_hostname, options, done) => {
    const family = isIP(address)
    if (options.all === true) done(null, [{ address, family }])
    else done(null, address, family)
  }
}

const CHECK_PROCESS = 'check that the process runs, and its metrics address and port'

function late(timeoutMs: number): SwitchbackError {
  const message = `does not answer within ${timeoutMs / 1000} s`
  return new SwitchbackError('SB_METRICS_UNREACHABLE', message, { hint: CHECK_PROCESS })
}

function tooLarge(maxBytes: number): SwitchbackError {
  const mebibytes = Math.round((maxBytes / 2 ** 20) * 10) / 10
  return new SwitchbackError('SB_METRICS_TOO_LARGE', `sends more than ${mebibytes} MiB`, {
    hint: 'name the metrics URL of one app process',
  })
}

function unreachable(cause: unknown): SwitchbackError {
  const { code, message = String(cause) } = cause as NodeJS.ErrnoException
  // For a name with several addresses the message is empty.
  const what =
    code === 'ECONNREFUSED' ? 'refuses the connection' : `cannot be reached (${message || code})`
  return new SwitchbackError('SB_METRICS_UNREACHABLE', what, { cause, hint: CHECK_PROCESS })
}
