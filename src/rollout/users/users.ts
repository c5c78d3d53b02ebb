import type { Readable } from 'node:stream'
import { quote, SwitchbackError } from '../../errors.ts'
import type { User, UserContext } from './evaluate.ts'

/**
 * Reads users from a stream, one a line: a targeting key as it is, or a JSON object with a
 * `targetingKey` and attributes. Empty lines are skipped. Gives those of each piece of the stream
 * together: a promise for each of a million costs more than reading it.
 *
 * @throws {SwitchbackError} `SB_USERS_INVALID` with the number of the line.
 */
export async function* parseUsers(input: Readable): AsyncGenerator<readonly User[]> {
  input.setEncoding('utf8')
  let number = 0
  let rest = ''
  const usersOf = (lines: readonly string[]): User[] => {
    const users: User[] = []
    for (const raw of lines) {
      number++
      const line = raw.trim()
      if (line !== '') users.push(line.startsWith('{') ? parseContext(line, number) : line)
    }
    return users
  }
  // A carriage return may go on with a line feed.
  let isOpen = false
  for await (const piece of input as AsyncIterable<string>) {
    rest += piece
    if (rest.length > MOST_UNITS + piece.length) throw tooLong(number + 1)
    // Amid a long line its beginning is not looked at again.
    if (!isOpen && !/[\r\n]/.test(piece)) continue
    const lines = linesOf(rest)
    rest = lines.pop() ?? ''
    isOpen = piece.endsWith('\r')
    yield usersOf(lines)
  }
  yield usersOf(linesOf(rest))
}

function linesOf(text: string): string[] {
  return text.includes('\r') ? text.split(/\r\n|\n|\r(?=[^])/) : text.split('\n')
}

/** A user is some attributes, and not a file that has no lines. */
const MOST_UNITS = 1_048_576

function tooLong(line: number): SwitchbackError {
  const what = `line ${line} is not a user: it has more than ${MOST_UNITS} characters`
  const hint = 'write one user a line'
  return new SwitchbackError('SB_USERS_INVALID', what, { hint })
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
