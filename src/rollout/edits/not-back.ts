import { checkFlag } from '../check/check-flag.ts'
import { checkShared } from '../check/check-shared.ts'
import { checkSides } from '../check/check-sides.ts'
import { createReport, type FindingCode } from '../check/findings.ts'
import {
  type FlagsDocument,
  type JsonNode,
  type JsonValue,
  property,
  valueOf,
  walk,
} from '../file/document.ts'
import { flagNode } from '../file/flag-members.ts'
import { compileFlag, type FlagDefinition, probeUsers } from '../../flagfile/index.ts'
import { definitionOf } from '../users/evaluate.ts'

/** With these a rule fails for some users at least, whom an app then leaves on the side they had. */
const FAILING: ReadonlySet<FindingCode> = new Set([
  'operator-count',
  'self-ref',
  'unknown-operator',
  'unknown-ref',
  'unknown-variant',
  'variant-types',
  'variants-not-boolean',
])

/**
 * Why a flag that was rolled back in the file would leave users on the new side: its rule still
 * sends some there, or it fails, and an app leaves a user on the last known side then. `''` when all
 * users get the old side.
 */
export function whyNotBack(document: FlagsDocument, flag: string, keepPilots: boolean): string {
  let definition: FlagDefinition
  try {
    definition = definitionOf(document, flag)
  } catch {
    // flagd refuses the file, which is reported when it is written.
    return ''
  }
  const written = flagNode(document, flag)
  return failsAsWritten(document, flag, written) || failsFor(definition, written, keepPilots)
}

/** Why the flag as it is written fails for users, be it disabled or not; `''` when it does not. */
export function whyFailing(document: FlagsDocument, flag: string): string {
  try {
    return failsAsWritten(document, flag, flagNode(document, flag))
  } catch {
    // The flag is not there, or the file is refused when it is written.
    return ''
  }
}

function failsAsWritten(document: FlagsDocument, flag: string, node: JsonNode): string {
  const { report, told } = createReport()
  const ofShared = createReport()
  const shared = checkShared(property(document.root, '$evaluators'), ofShared.report)
  checkFlag({ flag, node, keyNode: node, shared, report })
  checkSides(document, flag, report)
  const refers = [...walk(node)].some((each) => property(each, '$ref') !== undefined)
  const all = refers ? [...told, ...ofShared.told] : told
  return all.find(({ code }) => FAILING.has(code))?.message ?? ''
}

/** Each attribute of the rule is tried with each text of the rule, as far as this. */
const MOST_TRIALS = 500
/** A rollback does not wait longer for a rule whose evaluation takes a million steps. */
const PATIENCE_MS = 500

function failsFor(definition: FlagDefinition, node: JsonNode, keepPilots: boolean): string {
  const evaluate = compileFlag(definition)
  const users = probeUsers(definition.key)
  const attributes: readonly Readonly<Record<string, JsonValue>>[] = trialsOf(node)
  const trials = [
    ...users.map((targetingKey) => ({ targetingKey })),
    ...attributes.map((each) => ({ targetingKey: users[0] ?? '', ...each })),
  ]
  const end = performance.now() + PATIENCE_MS
  for (const context of trials) {
    if (performance.now() > end) break
    const { errorCode, value } = evaluate(context)
    if (errorCode !== '') return `its rule fails with ${errorCode}`
    if (value === true && !keepPilots) return 'its rule would still send users to the new side'
  }
  return ''
}

function trialsOf(node: JsonNode): Readonly<Record<string, JsonValue>>[] {
  const nodes = [...walk(property(node, 'targeting') ?? node)]
  const texts = new Set(nodes.flatMap((each) => (each.type === 'string' ? [valueOf(each)] : [])))
  const names = new Set(nodes.flatMap((each) => property(each, 'var')?.value ?? []))
  return [...names]
    .filter((name) => typeof name === 'string')
    .flatMap((name) => [...texts].map((text) => ({ [name]: text })))
    .slice(0, MOST_TRIALS)
}
