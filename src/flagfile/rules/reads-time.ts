import { isList, isObject } from '../json.ts'
import type { JsonValue } from '../json.ts'

/** Whether a rule asks for the time, so that its answers change by themselves. */
export function readsTime(rule: JsonValue | undefined): boolean {
  if (rule === undefined) return false
  if (isList(rule)) return rule.some(readsTime)
  if (!isObject(rule)) return false
  return Object.entries(rule).some(([operator, operand]) => {
    const named = isList(operand) ? operand[0] : operand
    const time = named === '$flagd.timestamp' || named === '$flagd'
    return (operator === 'var' && time) || readsTime(operand)
  })
}
