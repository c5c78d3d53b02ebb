import { quote } from '../../errors.ts'
import { MAX_FLAGS_BYTES } from './bounds.ts'
import { toWellFormed } from './decode.ts'
import { folded } from './fold.ts'
import { goJson } from './go-json.ts'
import type { JsonValue } from '../json.ts'
import { rawMembers, skipBlanks } from './members.ts'

/**
 * The text of a configuration with the shared rules of `$evaluators` in the places of their
 * `{"$ref": "name"}`, or `undefined` when there is nothing to put in. flagd replaces text: a reference
 * inside a shared rule is found only when it is written without blanks, and one to itself is put in once.
 *
 * @param text JSON whose value is an object
 * @throws Error that goes on from the name of the file
 */
export function withSharedRules(text: string, parsed: JsonValue): string | undefined {
  const rules = sharedRules(text)
  if (rules.size === 0) return undefined
  let result = goJson(parsed)
  if (!result.includes('{"$ref":"')) return undefined
  for (const [name, rule] of rules) {
    const pieces = result.split(`{"$ref":"${name}"}`)
    if (pieces.length === 1) continue
    const added = (pieces.length - 1) * (rule.length - name.length - 11)
    if (result.length + added > MAX_FLAGS_BYTES) {
      throw new Error(`holds more than ${MAX_FLAGS_BYTES} characters by its shared rules`)
    }
    result = pieces.join(rule)
  }
  return result
}

function sharedRules(text: string): ReadonlyMap<string, string> {
  const rules = new Map<string, string>()
  if (!/\$|\\u0024/.test(text)) return rules
  for (const { key, value } of rawMembers(text, skipBlanks(text, 0))) {
    if (folded(key) !== '$evaluators') continue
    if (value === 'null') {
      rules.clear()
      continue
    }
    if (!value.startsWith('{')) throw new Error(`has the $evaluators ${quote(shown(value))}`)
    for (const { key: name, value: rule } of rawMembers(value, 0)) {
      rules.set(toWellFormed(name), rule)
    }
  }
  for (const [name, rule] of rules) {
    // As flagd tells that one is empty: by its length.
    if (rule.length < 3) throw new Error(`has an empty shared rule ${quote(name)}`)
  }
  return rules
}

function shown(text: string): unknown {
  return JSON.parse(text) as unknown
}
