import { SwitchbackError } from '../../errors.ts'

export interface FetchOptions {
  readonly maxBytes: number
  readonly timeoutMs: number
  readonly signal?: AbortSignal | undefined
  readonly headers?: Readonly<Record<string, string>> | undefined
}

/**
 * Fetches text in pieces, under one deadline for all of it and a bound on its size: a replica that
 * drips a byte a second, or sends without end, is dropped. Redirects are not followed.
 */
export async function fetchText(
  url: string,
  onText: (text: string) => void,
  { maxBytes, timeoutMs, signal, headers = {} }: FetchOptions,
): Promise<void> {
  const deadline = AbortSignal.timeout(timeoutMs)
  const response = await fetch(url, {
    signal: signal === undefined ? deadline : AbortSignal.any([signal, deadline]),
    redirect: 'error',
    headers,
  })
  if (!response.ok || response.body === null) {
    await response.body?.cancel()
    throw new SwitchbackError('SB_METRICS_UNUSABLE', `answered ${response.status}`)
  }
  const decoder = new TextDecoder()
  let received = 0
  // Leaving the loop by an exception cancels the body and with it the connection.
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
    received += chunk.byteLength
    if (received > maxBytes) {
      throw new SwitchbackError('SB_METRICS_TOO_LARGE', `sent more than ${maxBytes} bytes`)
    }
    onText(decoder.decode(chunk, { stream: true }))
  }
  onText(decoder.decode())
}

/** One line for people: what went wrong with a replica. */
export function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  if (error.name === 'TimeoutError') return 'did not answer in time'
  if (error.message === 'fetch failed' && error.cause instanceof Error) {
    const { code } = error.cause as NodeJS.ErrnoException
    return code === 'ECONNREFUSED' ? 'refused the connection' : (code ?? error.cause.message)
  }
  return error.message
}
