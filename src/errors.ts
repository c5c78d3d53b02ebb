import type { SwitchbackErrorCode } from './error-codes.ts'

/**
 * The one error class of Switchback. Every error that a user can cause or meet carries a stable
 * `code`, quotes the offending value in its message, and says what to do about it in `hint`.
 */
export class SwitchbackError extends Error {
  /** Stable, `SB_` and upper case, e.g. `SB_TTL_INVALID`; docs/errors.md lists all of them. */
  readonly code: SwitchbackErrorCode
  /** One sentence: what the reader can do now. */
  readonly hint: string | undefined

  constructor(code: SwitchbackErrorCode, message: string, options: SwitchbackErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'SwitchbackError'
    this.code = code
    this.hint = options.hint
  }
}

export interface SwitchbackErrorOptions {
  readonly cause?: unknown
  readonly hint?: string
}

/** True for errors made by Switchback, whichever copy of the package made them. */
export function isSwitchbackError(error: unknown): error is SwitchbackError {
  return (
    error instanceof Error &&
    'code' in error &&
    typeof error.code === 'string' &&
    error.code.startsWith('SB_')
  )
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : textOf(error)
}

/** A value for an error message: quoted, one line, at most 80 characters. */
export function quote(value: unknown): string {
  let text: string
  try {
    text =
      typeof value === 'string' ? JSON.stringify(value) : (JSON.stringify(value) ?? String(value))
  } catch {
    text = textOf(value)
  }
  return text.length > 80 ? `${text.slice(0, 77)}...` : text
}

/** Even an object whose own conversion throws may be a caller's value. */
function textOf(value: unknown): string {
  try {
    return String(value)
  } catch {
    return `a value of type ${typeof value}`
  }
}

/** An error as one log line, its code first; backends put no keys or values into their messages. */
export function oneLine(error: unknown): string {
  return causeOf(error).replaceAll(/\s+/gu, ' ').slice(0, 200)
}

/** What failed must not fail once more because its error has no text, as of a proxy or a getter. */
function causeOf(error: unknown): string {
  try {
    const code = error instanceof SwitchbackError ? `${error.code}: ` : ''
    return code + (error instanceof Error ? error.message : String(error))
  } catch {
    return textOf(error)
  }
}

/** What happened, and what to do: two sentences, whichever way the message ends. */
export function withHint({ message, hint = '' }: SwitchbackError): string {
  if (hint === '') return message
  return `${message}${/[.!?:]$/u.test(message) ? '' : '.'} ${hint}`
}
