import { differsInJavaScript, isList, type JsonValue, readsTime } from '../../flagfile/index.ts'
import { type JsonNode, nodeAt, valueOf } from '../file/document.ts'
import type { TargetingContext } from './targeting-context.ts'

/** Finds parts of a rule that the JavaScript evaluator in other services decides differently. */
export function checkAgainstJavaScript(rule: JsonNode, { flag, report }: TargetingContext): void {
  for (const { path, operator, why } of differsInJavaScript(valueOf(rule) as JsonValue)) {
    if (report.enough) return
    const node = nodeAt(rule, path)
    if (node === undefined || (operator === 'in' && !hasNumericText(node))) continue
    // A weight that depends on the time is a finding of its own, and flagd always provides the
    // time.
    if (operator === 'fractional' && readsTime(valueOf(node) as JsonValue)) continue
    report({
      code: 'javascript-differs',
      severity: 'warning',
      flag,
      node,
      message: `flagd and the JavaScript evaluator decide this differently: flagd's "${operator}" ${why}`,
      fix: 'leave it if only Switchback and flagd evaluate the flag (docs/vendors.md)',
    })
  }
}

/** Compared with other strings only the number 0 would match, which no segment uses. */
function hasNumericText(node: JsonNode): boolean {
  const operands: unknown = valueOf(node)
  const list: unknown = Array.isArray(operands) ? operands[1] : undefined
  if (!isList(list as JsonValue)) return false
  return (list as readonly JsonValue[]).some(
    (each) => typeof each === 'string' && each.trim() !== '' && !Number.isNaN(Number(each)),
  )
}
