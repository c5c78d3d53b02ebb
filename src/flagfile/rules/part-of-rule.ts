import { compile } from './compile.ts'
import { enter } from './rule-context.ts'
import type { JsonObject, JsonValue } from '../json.ts'
import { beginWork } from './panic.ts'

/**
 * What a part of a rule gives for one user, as flagd evaluates it: for explanations.
 *
 * @param rule with its shared rules put in
 * @returns `undefined` where flagd cannot evaluate it
 */
export function valueOfRule(
  rule: JsonValue,
  flagKey: string,
  context: JsonObject,
): JsonValue | undefined {
  try {
    beginWork()
    return compile(rule).run(enter(context, flagKey))
  } catch {
    // It fails for flagd too, which then answers with an error.
    return undefined
  }
}
