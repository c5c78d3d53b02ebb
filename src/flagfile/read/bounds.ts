import { open } from 'node:fs/promises'
import { SwitchbackError, quote } from '../../errors.ts'

/*
 * What a flags file may cost whoever reads it. Reading one stops everything else that a process does, so
 * that a file of any size would stop it for seconds. What a single flag costs is paid when it is asked
 * for, and bounded there: one hostile rule does not take the others with it.
 */

/** Largest flags file, in bytes: some 30,000 flags. */
export const MAX_FLAGS_BYTES = 8_388_608
/** How deep one may nest: as for flagd. */
const MAX_DEPTH = 10_000

/**
 * The content of a flags file, however long the file really is.
 *
 * @throws SwitchbackError `SB_FLAGS_TOO_LARGE`; errors of the file system as they are
 */
export async function readFlagsFile(path: string): Promise<Buffer> {
  const file = await open(path, 'r')
  try {
    const chunks: Buffer[] = []
    let size = 0
    for (;;) {
      const chunk = Buffer.allocUnsafe(65_536)
      const { bytesRead } = await file.read(chunk)
      if (bytesRead === 0) return Buffer.concat(chunks)
      size += bytesRead
      if (size > MAX_FLAGS_BYTES) throw tooLarge(path)
      chunks.push(chunk.subarray(0, bytesRead))
    }
  } finally {
    await file.close()
  }
}

/** Several files that are read as one are one. */
export function tooLarge(path: string): SwitchbackError {
  return new SwitchbackError(
    'SB_FLAGS_TOO_LARGE',
    `${quote(path)} holds more than ${MAX_FLAGS_BYTES} bytes`,
    { hint: 'Give each application its own flags file.' },
  )
}

/** Why a text of JSON costs too much to be read, and where that shows. */
export interface Excess {
  readonly offset: number
  /** Goes on from the name of the file. */
  readonly message: string
}

export interface Limits {
  /** @default 10_000 */
  readonly depth?: number
  /** How many values it may hold. @default no limit */
  readonly values?: number
}

/** Found without parsing: `undefined` says nothing of whether it is JSON. */
export function excessOf(text: string, limits: Limits = {}): Excess | undefined {
  const { depth: mostDepth = MAX_DEPTH, values: mostValues = Infinity } = limits
  if (text.length > MAX_FLAGS_BYTES) {
    return { offset: 0, message: `holds more than ${MAX_FLAGS_BYTES} characters` }
  }
  let depth = 0
  let values = 0
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) {
      at = endOfString(text, at)
      continue
    }
    if (code === BRACKET_END || code === BRACE_END) depth--
    const opens = code === BRACKET || code === BRACE
    if (opens && ++depth > mostDepth) {
      return { offset: at, message: `is nested deeper than ${mostDepth}` }
    }
    // Each value follows a comma, or the bracket of its list or object when it is the first.
    if ((opens || code === COMMA) && ++values > mostValues) {
      return { offset: at, message: `holds more than ${mostValues} values` }
    }
  }
  return undefined
}

const QUOTE = 34
const COMMA = 44
const BRACKET = 91
const BACKSLASH = 92
const BRACKET_END = 93
const BRACE = 123
const BRACE_END = 125

/** The closing quote of a string that begins at `start`, or the end of the text. */
export function endOfString(text: string, start: number): number {
  let end = text.indexOf('"', start + 1)
  while (end !== -1) {
    let backslashes = 0
    while (text.charCodeAt(end - 1 - backslashes) === BACKSLASH) backslashes++
    if (backslashes % 2 === 0) return end
    end = text.indexOf('"', end + 1)
  }
  return text.length
}
