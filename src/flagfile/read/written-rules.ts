import { toWellFormed } from './decode.ts'
import { folded } from './fold.ts'
import { rawItems, rawMembers } from './members.ts'

/** The rule of a flag as it is written; by the key of the flag, or by its place in a list. */
export type WrittenRules = (flag: string | number) => string | undefined

/**
 * What flagd passes on of a rule is its text, and of a shared rule that is the text of the file: `1.0`
 * stays `1.0`.
 *
 * @param text a configuration, an object
 */
export function writtenRules(text: string): WrittenRules {
  const flags = lastOf(text, 'flags') ?? ''
  if (flags.startsWith('[')) {
    const items = rawItems(flags, 0)
    return (flag) => lastOf(items[flag as number] ?? '', 'targeting')
  }
  const members = flags.startsWith('{') ? rawMembers(flags, 0) : []
  const byKey = new Map(members.map(({ key, value }) => [toWellFormed(key), value]))
  return (flag) => lastOf(byKey.get(flag as string) ?? '', 'targeting')
}

function lastOf(object: string, name: string): string | undefined {
  if (!object.startsWith('{')) return undefined
  return rawMembers(object, 0).findLast(({ key }) => folded(key) === name)?.value
}
