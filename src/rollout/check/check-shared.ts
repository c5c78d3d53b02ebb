import { quote } from '../../errors.ts'
import { checkTargeting } from './check-targeting.ts'
import { entriesOf, type JsonNode, property, walk } from '../file/document.ts'
import { article, type Report } from './findings.ts'

/** Checks `$evaluators`, the rules that flags share by `$ref`. @returns them by name */
export function checkShared(
  evaluators: JsonNode | undefined,
  report: Report,
): ReadonlyMap<string, JsonNode> {
  const shared = new Map(entriesOf(evaluators).map(([name, node]) => [name, node] as const))
  if (evaluators === undefined || evaluators.type === 'null') return shared
  if (evaluators.type !== 'object') {
    report({
      code: 'wrong-type',
      rejected: true,
      node: evaluators,
      message: `"$evaluators" is ${article(evaluators)}, not an object; flagd refuses the file`,
      fix: 'write an object from name to rule',
    })
    return shared
  }
  for (const [name, node] of shared) {
    if (node.type === 'object' && node.children?.length !== 0) {
      checkTargeting(node, { flag: '', shared, report })
      const loop = selfReference(name, shared)
      if (loop !== undefined) {
        report({
          code: 'self-ref',
          node: loop,
          message: `the shared rule ${quote(name)} refers to itself; it fails for everyone`,
          fix: 'write the rule out',
        })
      }
      continue
    }
    // flagd checks only the length of its text.
    const rejected = node.length <= 2
    report({
      code: 'wrong-type',
      rejected,
      node,
      message: `the shared rule ${quote(name)} is ${node.type === 'object' ? 'empty' : article(node)}, not a rule${rejected ? '; flagd refuses the file' : ''}`,
      fix: 'write an object with one operator, or remove it',
    })
  }
  return shared
}

/** The first `$ref` of a shared rule that leads back to it, directly or through others. */
function selfReference(name: string, shared: ReadonlyMap<string, JsonNode>): JsonNode | undefined {
  const rule = shared.get(name)
  return rule === undefined
    ? undefined
    : references(rule).find((reference) => {
        const seen = new Set<string>()
        const open = [String(reference.value)]
        for (let next = open.pop(); next !== undefined; next = open.pop()) {
          if (next === name) return true
          const target = seen.has(next) ? undefined : shared.get(next)
          seen.add(next)
          if (target !== undefined) {
            for (const each of references(target)) open.push(String(each.value))
          }
        }
        return false
      })
}

function references(rule: JsonNode): JsonNode[] {
  return [...walk(rule)].flatMap((node) => property(node, '$ref') ?? [])
}
