import { quote, SwitchbackError } from '../../errors.ts'
import {
  entriesOf,
  type FlagsDocument,
  type JsonNode,
  property,
  valueOf,
} from '../file/document.ts'
import { flagEntries, flagNode } from '../file/flag-members.ts'
import { missingSide } from '../split/split.ts'
import { type Report, someOf } from './findings.ts'

const fix = 'write "variants": { "on": true, "off": false }'

/** Finds variants that no app can use as a side, since it asks for true or false, or that are one side only. */
export function checkSides(document: FlagsDocument, flag: string, report: Report): void {
  const [, definition] = flagEntries(document).findLast(([name]) => name === flag) ?? []
  if (definition === undefined) return
  const node = property(definition, 'variants') ?? document.root
  const problem = sidesProblem(flag, definition)
  if (problem !== undefined) {
    report({ code: 'variants-not-boolean', flag, node, message: problem.message, fix })
    return
  }
  const missing = missingSide(definition)
  if (missing === '') return
  const names = someOf(entriesOf(node).map(([name, { value }]) => `${name} = ${value}`))
  const message = `flag ${quote(flag)} cannot move users between the sides: ${missing} (${names})`
  report({ code: 'variants-one-sided', flag, node, message, fix })
}

/**
 * Refuses to move users by a flag whose variants no app can use: flagd would serve the change, and
 * no user would move. A rollback is never refused.
 *
 * @throws {SwitchbackError} `SB_VARIANTS_NOT_BOOLEAN`; `SB_FLAG_UNKNOWN`
 */
export function requireSides(document: FlagsDocument, flag: string): void {
  const problem = sidesProblem(flag, flagNode(document, flag))
  if (problem !== undefined) throw problem
}

/** `SB_VARIANTS_NOT_BOOLEAN` of a flag that no app can use; `undefined` when all variants are true or false. */
export function sidesProblem(flag: string, definition: JsonNode): SwitchbackError | undefined {
  const odd = entriesOf(property(definition, 'variants')).filter(
    ([, { type }]) => type !== 'boolean',
  )
  if (odd.length === 0) return undefined
  const names = someOf(odd.map(([name, node]) => `${name} = ${JSON.stringify(valueOf(node))}`))
  const message = `the variants of flag ${quote(flag)} are not true and false (${names}): every app asks for a boolean, gets TYPE_MISMATCH and leaves each user on the side known last, else the old one, whatever the share is`
  return new SwitchbackError('SB_VARIANTS_NOT_BOOLEAN', message, { hint: fix })
}
