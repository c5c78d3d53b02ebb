import { randomUUID } from 'node:crypto'
import { goString } from '../../flagfile/index.ts'
import type { JsonObject } from '../../flagfile/index.ts'

/** The header, and the name of the gRPC metadata, that selects flags. */
export const SELECTOR_HEADER = 'flagd-selector'

/** The flag set of flags without one. flagd draws it at every start too, and shows it. */
export const NO_FLAG_SET: string = randomUUID()

/** The selected flags. */
export interface FlagSelector {
  readonly by: 'all' | 'source' | 'flagSetId'
  readonly value: string
  /** Part of every answer. */
  readonly metadata: JsonObject
}

/** A selector with a key that flagd does not know. */
export class SelectorError extends Error {}

const EVERYTHING: FlagSelector = { by: 'all', value: '', metadata: {} }

/**
 * Reads `source=NAME`, `flagSetId=ID` (without an id: the flags in no set) or a bare name of a source.
 *
 * @throws SelectorError in flagd's words
 */
export function parseFlagSelector(expression: string = ''): FlagSelector {
  if (expression === '') return EVERYTHING
  const equals = expression.indexOf('=')
  const by = equals < 0 ? 'source' : expression.slice(0, equals)
  let value = expression.slice(equals + 1)
  if (by !== 'source' && by !== 'flagSetId') {
    throw new SelectorError(
      `invalid selector key ${goQuoted(by)}, valid keys: "flagSetId", "source"`,
    )
  }
  if (by === 'flagSetId' && value === '') value = NO_FLAG_SET
  return { by, value, metadata: value === '' ? {} : { [by]: value } }
}

/** As Go's `%q`, for what is in headers. */
function goQuoted(text: string): string {
  return goString(text).replace(/\\u00([0-7][0-9a-f])/g, (_, hex: string) => {
    const code = Number.parseInt(hex, 16)
    return code < 32 ? `\\x${hex}` : String.fromCharCode(code)
  })
}
