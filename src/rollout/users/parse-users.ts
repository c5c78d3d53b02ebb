import type { Readable } from 'node:stream'
import { quote, SwitchbackError } from '../../errors.ts'
import type { User, UserContext } from './evaluate.ts'

/**
 * Reads users from a stream, one a line: a targeting key as it is, or a JSON object with a
 * `targetingKey` and attributes. Empty lines are skipped. Gives those of each piece of the stream
 * together: a promise for each of a million costs more than reading it.
 *
 * @throws {SwitchbackError} `SB_USERS_INVALID` with the number of the line that is not a user, or when
 * there is none at all.
 */
export async function* parseUsers(input: Readable): AsyncGenerator<readonly User[]> {
  input.setEncoding('utf8')
  let number = 0
  let some = false
  let rest = ''
  const usersOf = (lines: readonly string[]): User[] => {
    const users: User[] = []
    for (const raw of lines) {
      number++
      const line = raw.trim()
      if (line === '') continue
      if (NO_USER.test(line) || (!some && users.length === 0 && isHeader(line))) {
        throw noUser(line, number)
      }
      users.push(line.startsWith('{') ? parseContext(line, number) : line)
    }
    some ||= users.length > 0
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
  // What a pipe gives whose first command failed: "nobody leaves" would be said of nobody.
  if (!some) {
    throw new SwitchbackError('SB_USERS_INVALID', 'the list of users has no user', {
      hint: 'write one user a line; where a command writes them, run it alone to see what it says',
    })
  }
}

/**
 * JSON that is not a context, CSV in quotes, and bytes that are not UTF-8 (U+FFFD stands for them, and
 * UTF-16 has a NUL beside each letter): as keys they would be users whom nobody has.
 */
const NO_USER = /^["[]|^(?:null|true|false)$|[\0\uFFFD]/u

/** The first line of a table: the name of a column that has ids, alone or before others. */
function isHeader(line: string): boolean {
  const [first = '', ...others] = line.split(/[,;\t]/)
  const name = first.trim()
  if (COLUMN.test(name)) return true
  return others.length > 0 && (ID_COLUMN.test(name) || WORD_COLUMN.test(name))
}

const COLUMN = /^(?:[A-Za-z]+[_ -](?:id|Id|ID)|[a-z]+(?:Id|ID)|id|ID|uuid|targeting_?[kK]ey)$/u
/** Before others also in any case, but never whatever ends in these letters: david is a user. */
const ID_COLUMN = /^[A-Za-z]*[a-z](?:Id|ID)$/u
const WORD_COLUMN =
  /^(?:(?:user|customer|account|member|client|tenant)?id|uuid|guid|targeting[_ -]?key|user|name|email|key)$/iu

function noUser(line: string, number: number): SwitchbackError {
  return new SwitchbackError('SB_USERS_INVALID', `line ${number} is not a user: ${quote(line)}`, {
    hint: remedyOf(line),
  })
}

function remedyOf(line: string): string {
  if (/[\0\uFFFD]/u.test(line)) {
    return 'save the list as UTF-8, as with iconv -f UTF-16 -t UTF-8 (name the encoding it has)'
  }
  if (line.startsWith('[')) return `${ONE_A_LINE}; jq -rc '.[]' makes that of a JSON array`
  if (line.startsWith('"')) {
    return `${ONE_A_LINE}; without quotes: jq -r for JSON, cut -d, -f1 | tr -d '"' for CSV`
  }
  if (isHeader(line)) {
    const separator = /[,;\t]/.exec(line)?.[0]
    const column = separator === undefined ? '' : ` | cut -d ${separatorText(separator)} -f1`
    return `it is the header of a table: leave it out with tail -n +2${column}`
  }
  return ONE_A_LINE
}

function separatorText(separator: string): string {
  return separator === '\t' ? "$'\\t'" : `'${separator}'`
}

const ONE_A_LINE =
  'write one user a line: a targeting key, or {"targetingKey": "user_1", "plan": "beta"}'

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
  throw noUser(line, number)
}
