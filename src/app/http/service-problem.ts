import { STATUS_CODES } from 'node:http'

/** The body of an error answer (RFC 9457). */
export interface ProblemBody {
  readonly type: 'about:blank'
  readonly title: string
  readonly status: number
  /** What is wrong, for the caller. */
  readonly detail: string
}

export function problemBody(status: number, detail: string): ProblemBody {
  return { type: 'about:blank', title: STATUS_CODES[status] ?? 'Error', status, detail }
}

/** Thrown by a handler to answer with a problem. */
export class Problem extends Error {
  readonly statusCode: number

  constructor(statusCode: number, detail: string) {
    super(detail)
    this.name = 'Problem'
    this.statusCode = statusCode
  }
}
