import {
  duplicateKeys,
  entriesOf,
  type FlagsDocument,
  type JsonNode,
  parseDocument,
  positionAt,
  positionsIn,
  property,
  walk,
} from '../file/document.ts'
import { compareFlags } from './check-changes.ts'
import { checkFlag, checkMetadata, checkFieldNames } from './check-flag.ts'
import { checkShared } from './check-shared.ts'
import { checkSides } from './check-sides.ts'
import { article, createReport, type Finding, findingAt, type Report } from './findings.ts'
import { messageOf, quote } from '../../errors.ts'
import { readFlagSet } from '../../flagfile/index.ts'

export interface ValidateOptions {
  /** The file before: changes that move users unexpectedly are found too. */
  readonly before?: string
  /**
   * The flag that Switchback edits: its variants must be true and false, or no app moves any user.
   * @default none: a file may hold flags of any type
   */
  readonly flag?: string
  /**
   * The file's name: flagd takes the format from it, and `.yaml` is read as YAML.
   * @default JSON
   */
  readonly name?: string
}

/**
 * Checks a flags file for errors that flagd rejects and rules that do not do what they seem to.
 * Sorted by place, cut off after many. Never throws for the content of the text.
 *
 * Sources: flagd's published schemas (open-feature/flagd-schemas), and what a real flagd 0.16 did
 * with each of these files.
 */
export function validate(text: string, options: ValidateOptions = {}): Finding[] {
  const { before: earlier, flag, name = 'flags.json' } = options
  // Places in YAML are not known: only whether flagd accepts it.
  if (/\.ya?ml$/i.test(name)) return refusedAsWhole(text, name)
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
  if (flag !== undefined) checkSides(document, flag, report)
  if (earlier !== undefined) {
    const before = parseDocument(earlier)
    if ('root' in before) compareFlags(before, document, report)
  }
  const refusal = refusalOf(text, name)
  if (refusal !== '' && !told.some(({ rejected }) => rejected === true)) {
    report({
      code: 'refused',
      rejected: true,
      node: document.root,
      message: `flagd refuses the file: ${refusal}`,
      fix: 'see flagd.dev/reference/flag-definitions',
    })
  }
  const positionOf = positionsIn(text)
  return told
    .map((details) => (refusal === '' ? { ...details, rejected: false } : details))
    .sort((a, b) => a.node.offset - b.node.offset)
    .map((details) => findingAt(positionOf(details.node.offset), details))
}

/** Why flagd refuses the text; `''` when it accepts it. */
function refusalOf(text: string, name: string): string {
  try {
    readFlagSet(text, name)
    return ''
  } catch (error) {
    const { cause } = error as Error
    return messageOf(cause ?? error)
  }
}

function refusedAsWhole(text: string, name: string): Finding[] {
  const refusal = refusalOf(text, name)
  if (refusal === '') return []
  const line = Number(/\bline (\d+)/.exec(refusal)?.[1] ?? 1)
  return [
    {
      code: 'refused',
      severity: 'error',
      rejected: true,
      flag: '',
      pointer: '',
      line,
      column: 1,
      message: `flagd refuses the file: ${refusal}`,
      fix: 'write it as YAML that flagd reads, or as JSON',
    },
  ]
}

const fileFields = ['$schema', 'flags', '$evaluators', 'metadata']

function checkFile(document: FlagsDocument, report: Report): void {
  const { root } = document
  for (const node of duplicateKeys(root)) {
    if (report.enough) break
    report({
      code: 'duplicate-key',
      node,
      severity: 'warning',
      message: `the key ${quote(node.value)} is repeated in one object; flagd uses the last one`,
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
  checkFieldNames(root, fileFields, '', report)
  checkMetadata(property(root, 'metadata'), '', report)
  const shared = checkShared(property(root, '$evaluators'), report)
  checkNumbers(root, report)
  const flags = property(root, 'flags')
  const folded = entriesOf(root).find(([key]) => key.toLowerCase() === 'flags')?.[1]
  if (flags === undefined && folded === undefined) {
    report({
      code: 'no-flags',
      rejected: true,
      node: root,
      message: '"flags" is missing; flagd refuses the file',
      fix: 'write { "flags": { ... } }',
    })
  } else if (flags === undefined || flags.type === 'null') {
    return
  } else if (flags.type !== 'object' && flags.type !== 'array') {
    report({
      code: 'wrong-type',
      rejected: true,
      node: flags,
      message: `"flags" is ${article(flags)}, not an object; flagd refuses the file`,
      fix: 'write an object from flag name to definition',
    })
  } else if (flags.type === 'object' && flags.children?.length === 0) {
    report({
      code: 'no-flags',
      severity: 'warning',
      node: flags,
      message: '"flags" is empty; flagd accepts it and answers FLAG_NOT_FOUND for every flag',
      fix: 'add a flag, or remove the file from the sources',
    })
  }
  for (const [flag, node, keyNode] of entriesOf(flags)) {
    checkFlag({ flag, node, keyNode, shared, report })
  }
  if (flags?.type === 'array') checkList(flags.children ?? [], shared, report)
}

/** A list of flags, each with its own key. */
function checkList(
  flags: readonly JsonNode[],
  shared: ReadonlyMap<string, JsonNode>,
  report: Report,
): void {
  for (const node of flags) {
    const key = property(node, 'key')
    if (key !== undefined && key.type !== 'string') {
      report({
        code: 'wrong-type',
        rejected: true,
        node: key,
        message: `the key of a flag is ${article(key)}, not a string; flagd refuses the file`,
        fix: 'write it in double quotes',
      })
      continue
    }
    if (key === undefined && ['object', 'null'].includes(node.type)) {
      report({
        code: 'unknown-field',
        node,
        message: 'a flag of the list has no "key"; flagd ignores it',
        fix: 'write its name as "key"',
      })
      continue
    }
    const flag = key === undefined ? '' : String(key.value)
    checkFlag({ flag, node, keyNode: node, shared, report })
  }
}

/** JSON has no bounds for numbers, flagd has: 64-bit floating point. */
function checkNumbers(root: JsonNode, report: Report): void {
  for (const node of walk(root)) {
    if (node.type !== 'number' || Number.isFinite(node.value)) continue
    report({
      code: 'number-too-large',
      rejected: true,
      node,
      message: 'the number is too large for flagd, which refuses the file',
      fix: 'write a number below 1.8e308',
    })
    return
  }
}
