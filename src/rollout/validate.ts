import {
  duplicateKeys,
  entriesOf,
  type FlagsDocument,
  parseDocument,
  positionAt,
  positionsIn,
  property,
} from './document.ts'
import { compareFlags } from './check-changes.ts'
import { checkFlag, checkMetadata, checkNames } from './check-flag.ts'
import { checkTargeting } from './check-targeting.ts'
import { article, createReport, type Finding, findingAt, type Report } from './findings.ts'
import { quote } from '../errors.ts'

export interface ValidateOptions {
  /** The file as it was: changes that move users by surprise are found too. */
  readonly before?: string
}

/**
 * Checks a flags file: what flagd rejects, and what it accepts but does something else with than it
 * looks. Sorted by place; of very many the first. Never throws for what the text holds.
 *
 * Source of the rules: flagd's published schemas (open-feature/flagd-schemas), and what a real flagd
 * 0.16 did with each of these files.
 */
export function validate(text: string, options: ValidateOptions = {}): Finding[] {
  const document = parseDocument(text)
  if (!('root' in document)) {
    return [
      {
        code: document.code,
        severity: 'error',
        rejected: true,
        flag: '',
        pointer: '',
        ...positionAt(text, document.offset),
        message: document.message,
        fix: document.fix,
      },
    ]
  }
  const { report, told } = createReport()
  checkFile(document, report)
  if (options.before !== undefined) {
    const before = parseDocument(options.before)
    if ('root' in before) compareFlags(before, document, report)
  }
  const positionOf = positionsIn(text)
  return told
    .sort((a, b) => a.node.offset - b.node.offset)
    .map((details) => findingAt(positionOf(details.node.offset), details))
}

const fileFields = ['$schema', 'flags', '$evaluators', 'metadata']

function checkFile(document: FlagsDocument, report: Report): void {
  const { root } = document
  for (const node of duplicateKeys(root)) {
    if (report.enough) break
    report({
      code: 'duplicate-key',
      node,
      message: `the key ${quote(node.value)} stands twice in one object; readers disagree on which one counts`,
      fix: 'keep one of them',
    })
  }
  if (root.type !== 'object') {
    report({
      code: 'wrong-type',
      rejected: true,
      node: root,
      message: `the file is ${article(root)}, not an object; flagd refuses it`,
      fix: 'write { "flags": { ... } }',
    })
    return
  }
  checkNames(root, fileFields, '', report)
  checkMetadata(property(root, 'metadata'), '', report)
  const evaluators = property(root, '$evaluators')
  const shared = new Map(entriesOf(evaluators).map(([name, node]) => [name, node] as const))
  for (const node of shared.values()) checkTargeting(node, { flag: '', shared, report })
  const flags = property(root, 'flags')
  if (flags === undefined) {
    report({
      code: 'no-flags',
      rejected: true,
      node: root,
      message:
        'there is no "flags"; flagd refuses the file, and in-process providers forget all flags',
      fix: 'write { "flags": { ... } }',
    })
  } else if (flags.type === 'array') {
    report({
      code: 'flags-array',
      severity: 'warning',
      node: flags,
      message: '"flags" is a list, which the flagd server reads and in-process providers do not',
      fix: 'write an object from flag name to definition',
    })
  } else if (flags.type !== 'object') {
    report({
      code: 'wrong-type',
      rejected: true,
      node: flags,
      message: `"flags" is ${article(flags)}, not an object; flagd refuses the file`,
      fix: 'write an object from flag name to definition',
    })
  } else if (flags.children?.length === 0) {
    report({
      code: 'no-flags',
      severity: 'warning',
      node: flags,
      message: '"flags" is empty; flagd takes it and answers FLAG_NOT_FOUND for every flag',
      fix: 'add a flag, or remove the file from the sources',
    })
  }
  for (const [flag, node, keyNode] of entriesOf(flags)) {
    checkFlag({ flag, node, keyNode, shared, report })
  }
}
