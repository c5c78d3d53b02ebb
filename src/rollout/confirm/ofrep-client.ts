import { Agent as HttpAgent, request as httpRequest } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { quote, SwitchbackError } from '../../errors.ts'
import { type Answer, codeDefault, evaluationError, type User } from '../users/evaluate.ts'

/** Asks a flagd over OFREP, the OpenFeature Remote Evaluation Protocol (flagd: port 8016). */
export interface OfrepClient {
  /** What flagd serves this user now. */
  ask(flag: string, user: User, signal?: AbortSignal): Promise<Served>
  close(): void
  [Symbol.dispose](): void
}

/** flagd's answer for one user. */
export interface Served {
  /** The variant, or one of the two constants that stand for none. */
  readonly answer: Answer
  /** OpenFeature's reason, e.g. `TARGETING_MATCH`; `''` with an error. */
  readonly reason: string
  /** OpenFeature's error code, e.g. `FLAG_NOT_FOUND`; `''` without one. */
  readonly errorCode: string
}

export interface OfrepOptions {
  /** @default 'http://127.0.0.1:8016' */
  readonly url?: string
  /**
   * For one answer, in ms.
   * @default 2000
   */
  readonly timeoutMs?: number
}

/** Where flagd listens for OFREP by default. */
export const defaultFlagdUrl = 'http://127.0.0.1:8016'

/**
 * Makes a client with kept-alive connections; answers of more than 1 MiB are refused.
 *
 * @throws {SwitchbackError} `SB_FLAGD_URL` for an invalid address; from `ask`,
 * `SB_FLAGD_UNREACHABLE` when nothing answers, and `SB_FLAGD_ANSWER` when it is not flagd that
 * answers.
 */
export function createOfrepClient(options: OfrepOptions = {}): OfrepClient {
  const { url = defaultFlagdUrl, timeoutMs = 2000 } = options
  const base = parseFlagdUrl(url)
  const secure = base.protocol === 'https:'
  const agent = secure ? new HttpsAgent({ keepAlive: true }) : new HttpAgent({ keepAlive: true })
  const send = secure ? httpsRequest : httpRequest
  const close = (): void => agent.destroy()

  const post = (path: string, body: string, signal?: AbortSignal): Promise<[number, string]> =>
    new Promise((resolve, reject) => {
      const fail = (error: Error): void => {
        clearTimeout(timer)
        reject(error)
      }
      const target = new URL(`${base.pathname.replace(/\/$/, '')}${path}`, base)
      const request = send(
        target,
        {
          method: 'POST',
          agent,
          headers: {
            'content-type': 'application/json',
            'content-length': Buffer.byteLength(body),
          },
          ...(signal === undefined ? {} : { signal }),
        },
        (response) => {
          const chunks: Buffer[] = []
          let size = 0
          response.on('data', (chunk: Buffer) => {
            size += chunk.length
            if (size > 1_048_576) response.destroy(new Error('the answer is larger than 1 MiB'))
            else chunks.push(chunk)
          })
          response.on('error', fail)
          response.on('end', () => {
            clearTimeout(timer)
            resolve([response.statusCode ?? 0, Buffer.concat(chunks).toString('utf8')])
          })
        },
      )
      // Not AbortSignal.any over a timeout: Node 20 may collect that as garbage too early.
      const timer = setTimeout(() => {
        request.destroy(new Error(`no answer within ${timeoutMs} ms`))
      }, timeoutMs)
      request.on('error', fail)
      request.end(body)
    })

  return {
    async ask(flag, user, signal) {
      const context = typeof user === 'string' ? { targetingKey: user } : user
      let status: number
      let text: string
      try {
        ;[status, text] = await post(
          `/ofrep/v1/evaluate/flags/${encodeURIComponent(flag)}`,
          JSON.stringify({ context }),
          signal,
        )
      } catch (error) {
        signal?.throwIfAborted()
        throw unreachable(url, error)
      }
      return readAnswer(url, status, text)
    },
    close,
    [Symbol.dispose]: close,
  }
}

/**
 * Reads flagd's OFREP address.
 *
 * @throws {SwitchbackError} `SB_FLAGD_URL` for an invalid address.
 */
export function parseFlagdUrl(url: string): URL {
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  if (parsed?.protocol === 'http:' || parsed?.protocol === 'https:') return parsed
  throw new SwitchbackError('SB_FLAGD_URL', `${quote(url)} is not a valid flagd URL`, {
    hint: `write it as a URL, e.g. ${defaultFlagdUrl} (flagd's OFREP port)`,
  })
}

function unreachable(url: string, cause: unknown): SwitchbackError {
  const reason =
    cause instanceof Error ? ('code' in cause ? String(cause.code) : cause.message) : ''
  return new SwitchbackError(
    'SB_FLAGD_UNREACHABLE',
    `flagd does not answer at ${url} (${reason})`,
    {
      cause,
      hint: 'start flagd (restart it if it hangs), or name its OFREP address with --flagd',
    },
  )
}

function readAnswer(url: string, status: number, text: string): Served {
  let body: unknown
  try {
    body = JSON.parse(text)
  } catch {
    body = undefined
  }
  if (typeof body !== 'object' || body === null || !('key' in body)) {
    throw new SwitchbackError(
      'SB_FLAGD_ANSWER',
      `${url} answers ${status}, but not as flagd does`,
      {
        hint: 'name the OFREP port of flagd (8016); 8013 and 8015 speak gRPC',
      },
    )
  }
  const read = (key: string): string => {
    const value: unknown = (body as Record<string, unknown>)[key]
    return typeof value === 'string' ? value : ''
  }
  const errorCode = read('errorCode')
  if (errorCode === 'FLAG_DISABLED')
    return { answer: codeDefault, reason: 'DISABLED', errorCode: '' }
  if (errorCode !== '') return { answer: evaluationError, reason: '', errorCode }
  const variant = 'value' in body ? read('variant') : ''
  return { answer: variant === '' ? codeDefault : variant, reason: read('reason'), errorCode: '' }
}
