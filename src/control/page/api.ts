import type { ChangeAnswer, PreviewAnswer } from '../state/state.ts'
import { askForToken } from './token.ts'

/** The server refused, or could not be reached. */
export class ApiError extends Error {
  readonly code: string
  readonly hint: string

  constructor(code: string, message: string, hint: string) {
    super(message)
    this.name = 'ApiError'
    this.code = code
    this.hint = hint
  }
}

const TOKEN = 'switchback-token'
const NAME = 'switchback-name'

export async function get<T>(path: string): Promise<T> {
  const response = await fetch(path, { headers: { accept: 'application/json' } })
  if (!response.ok) throw await errorOf(response)
  return (await response.json()) as T
}

export function askPreview(share: number, signal: AbortSignal): Promise<PreviewAnswer> {
  return post('/api/preview', { share }, signal)
}

export function requestShare(body: {
  readonly share: number
  readonly hash: string
  readonly reason: string
}): Promise<ChangeAnswer> {
  return post('/api/share', signed(body))
}

/** @param flag of another switch than the page's */
export function requestRollback(flag?: string): Promise<ChangeAnswer> {
  return post('/api/rollback', signed(flag === undefined ? {} : { flag }))
}

export function requestUndo(): Promise<ChangeAnswer> {
  return post('/api/undo', signed({}))
}

export function approve(share: number): Promise<unknown> {
  return post('/api/approve', signed({ share }))
}

export function orderGuard(
  order:
    | { readonly kind: 'pause' | 'unpause' | 'resume' }
    | { readonly kind: 'promote'; readonly to: number },
): Promise<unknown> {
  return post('/api/guard', signed(order))
}

/** The author of changes; `''`: the operator of the server. */
export function myName(): string {
  return localStorage.getItem(NAME) ?? ''
}

export function rememberName(name: string): void {
  localStorage.setItem(NAME, name.trim())
}

function signed<T extends object>(body: T): T & { who?: string } {
  const who = myName()
  return who === '' ? body : { ...body, who }
}

/** Asks for the token when the server requires one, and tries again with it. */
async function post<T>(path: string, body: object, signal?: AbortSignal): Promise<T> {
  for (;;) {
    const response = await send(path, body, signal)
    if (response.ok) return (await response.json()) as T
    const error = await errorOf(response)
    if (response.status !== 401) throw error
    const wrong = sessionStorage.getItem(TOKEN) !== null
    const token = await askForToken(wrong ? 'This token is wrong.' : '')
    if (token === undefined) throw error
    sessionStorage.setItem(TOKEN, token)
  }
}

async function send(path: string, body: object, signal?: AbortSignal): Promise<Response> {
  const token = sessionStorage.getItem(TOKEN)
  try {
    return await fetch(path, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      },
      body: JSON.stringify(body),
      signal: signal ?? null,
    })
  } catch (error) {
    if (signal?.aborted === true) throw error
    throw new ApiError('unreachable', 'The control page does not answer', '')
  }
}

async function errorOf(response: Response): Promise<ApiError> {
  const problem = (await response.json().catch(() => ({}))) as Record<string, unknown>
  const read = (key: string): string => {
    const value = problem[key]
    return typeof value === 'string' ? value : ''
  }
  const detail = read('detail') || `The control page answers ${response.status}`
  return new ApiError(read('code'), detail, read('hint'))
}
