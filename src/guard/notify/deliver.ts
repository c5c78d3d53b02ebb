import { spawn } from 'node:child_process'
import { createHmac } from 'node:crypto'
import { messageOf } from '../../errors.ts'
import type { GuardMessage } from './message.ts'

/** Who is told: a webhook, or a program that gets the message on its standard input. */
export type Receiver =
  | { readonly kind: 'webhook'; readonly url: URL }
  | { readonly kind: 'command'; readonly argv: readonly string[] }

/** For logs: paths and queries of webhooks are often their password. */
export function receiverName(receiver: Receiver): string {
  return receiver.kind === 'webhook' ? receiver.url.host : (receiver.argv[0] ?? '')
}

export interface DeliverOptions {
  /** Signs webhooks; without one they are not signed. */
  readonly secret?: string | undefined
  readonly timeoutMs: number
}

/** Delivers once. @returns '' when it was accepted, else what happened; never rejects */
export async function deliver(
  receiver: Receiver,
  message: GuardMessage,
  options: DeliverOptions,
): Promise<string> {
  const body = JSON.stringify(message)
  try {
    return receiver.kind === 'webhook'
      ? await post(receiver.url, message.id, body, options)
      : await run(receiver.argv, body, options)
  } catch (error) {
    return options.timeoutMs > 0 && isTimeout(error)
      ? `no answer within ${options.timeoutMs} ms`
      : causeOf(error)
  }
}

function isTimeout(error: unknown): boolean {
  return error instanceof Error && error.name === 'TimeoutError'
}

/** `fetch failed` says nothing; its cause does. */
function causeOf(error: unknown): string {
  const cause: unknown = error instanceof Error ? error.cause : undefined
  if (!(cause instanceof Error)) return messageOf(error)
  return `cannot be reached (${'code' in cause ? String(cause.code) : cause.message})`
}

async function post(
  url: URL,
  id: string,
  body: string,
  { secret, timeoutMs }: DeliverOptions,
): Promise<string> {
  const { origin, pathname, search, username, password } = url
  const basic = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
  const response = await fetch(`${origin}${pathname}${search}`, {
    method: 'POST',
    body,
    // A redirect would carry the message to a host that nobody named.
    redirect: 'manual',
    signal: AbortSignal.timeout(timeoutMs),
    headers: {
      'content-type': 'application/json',
      'user-agent': 'switchback-guard',
      ...(username === '' ? {} : { authorization: `Basic ${btoa(basic)}` }),
      ...(secret === undefined ? {} : signed(id, body, secret)),
    },
  })
  await response.body?.cancel()
  return response.ok ? '' : `answers with HTTP ${response.status}`
}

/**
 * @see https://www.standardwebhooks.com: `v1,<base64 of HMAC-SHA256 of "id.timestamp.body">`, the
 * key after `whsec_` in base64
 */
export function signed(
  id: string,
  body: string,
  secret: string,
  at: number = Math.floor(Date.now() / 1000),
): Record<string, string> {
  const key = secret.startsWith('whsec_') ? Buffer.from(secret.slice(6), 'base64') : secret
  const hash = createHmac('sha256', key).update(`${id}.${at}.${body}`).digest('base64')
  return {
    'webhook-id': id,
    'webhook-timestamp': String(at),
    'webhook-signature': `v1,${hash}`,
  }
}

function run(
  [program = '', ...argv]: readonly string[],
  body: string,
  { timeoutMs }: DeliverOptions,
): Promise<string> {
  return new Promise((resolve) => {
    const child = spawn(program, argv, { stdio: ['pipe', 'ignore', 'ignore'] })
    const timer = setTimeout(() => {
      child.kill('SIGKILL')
      resolve(`does not end within ${timeoutMs} ms`)
    }, timeoutMs)
    // A program that does not read its input closes it; its exit code says how it went.
    child.stdin.on('error', () => {})
    child.on('error', (error: NodeJS.ErrnoException) => {
      clearTimeout(timer)
      resolve(`cannot be started (${error.code ?? error.message})`)
    })
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      resolve(code === 0 ? '' : `ends with ${signal ?? `exit code ${code}`}`)
    })
    child.stdin.end(body)
  })
}
