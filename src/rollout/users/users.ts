import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { quote, SwitchbackError } from '../../errors.ts'
import type { User, UserContext } from './evaluate.ts'

/**
 * Reads users from a stream, one a line: a targeting key as it is, or a JSON object with a
 * `targetingKey` and attributes. Empty lines are skipped.
 *
 * @throws {SwitchbackError} `SB_USERS_INVALID` with the number of the line.
 */
export async function* parseUsers(input: Readable): AsyncGenerator<User> {
  let number = 0
  for await (const raw of createInterface({ input, crlfDelay: Infinity })) {
    number++
    const line = raw.trim()
    if (line === '') continue
    yield line.startsWith('{') ? parseContext(line, number) : line
  }
}

function parseContext(line: string, number: number): User {
  let parsed: unknown
  try {
    parsed = JSON.parse(line)
  } catch {
    parsed = undefined
  }
  const key =
    typeof parsed === 'object' && parsed !== null && 'targetingKey' in parsed
      ? parsed.targetingKey
      : undefined
  if (typeof key === 'string') return parsed as UserContext
  throw new SwitchbackError('SB_USERS_INVALID', `line ${number} is not a user: ${quote(line)}`, {
    hint: 'write one targeting key a line, or {"targetingKey": "user_1", "plan": "beta"}',
  })
}
