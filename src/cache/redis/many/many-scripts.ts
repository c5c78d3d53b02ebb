import { NEVER } from '../../cell.ts'
import { WRITTEN_AT } from '../../envelope.ts'
import { OUTCOME, PUT_SCRIPT, type Script, script, TEXT } from '../scripts.ts'

/** What an answer begins with that stands for an error of Redis. Others are numbers, or empty. */
export const ERROR_MARK = '-'

/**
 * Does for many cells what a script does for one, and by its very text: the time and the era are asked for once, and
 * the rest is a function that is called for one cell after another. Each has an answer of its own, and an error of
 * one leaves the others alone. In another era there is one answer for all.
 *
 * KEYS: those of each cell, then the state; ARGV: deadline, tombstoneTtl, era, then of each cell its head with the
 * expected token behind it, and the others
 *
 * @param names keys of a cell
 * @param hasValue its last argument is a value under a key of its own
 * @param first statements that may do the same for the usual cell, and then set `answer`
 */
export function manyOf(
  { source }: Script,
  names: 1 | 2,
  hasValue: boolean = false,
  first: string = '',
): Script {
  const [once = '', each = ''] = source.split(TEXT)
  const shared = once
    .replaceAll(`KEYS[${names + 1}]`, 'KEYS[#KEYS]')
    .replaceAll('ARGV[5]', 'ARGV[2]')
    .replaceAll('ARGV[6]', 'ARGV[3]')
  const [count, value] = hasValue ? [3, ', ARGV[at + 3]'] : [2, '']
  const second = names === 2 ? ', KEYS[i * 2 + 2]' : ''
  return script(`${shared}
local KEYS, ARGV, pcall, sub, format = KEYS, ARGV, pcall, string.sub, string.format
local stamp = format('%.0f', now) .. ARGV[3]
local deadline, done = tonumber(ARGV[1]), now * 10 + ${OUTCOME.done}
local function one(KEYS, ARGV)
${TEXT}${each}
end
local answers = {}
for i = 0, (#ARGV - 3) / ${count} - 1 do
  local at = 3 + i * ${count}
  local head, tail, answer = ARGV[at + 1], ARGV[at + 2]
${first}
  if not answer then
    local ok
    ok, answer = pcall(one, { KEYS[i * ${names} + 1]${second} },
      { sub(head, ${WRITTEN_AT + 1}), ARGV[1], sub(head, 1, ${WRITTEN_AT}), tail, ARGV[2], ARGV[3]${value} })
    if type(answer) == 'table' then answer = '${ERROR_MARK}' .. answer.err
    elseif not ok then answer = '${ERROR_MARK}' .. answer end
  end
  answers[i + 1] = answer
end
return answers
`)
}

/** Where nothing is expected, and there is nothing: the usual cell of a copy. */
const PUT_NEW = `
  if #head == ${WRITTEN_AT} and now <= deadline then
    local expires, set = tonumber(sub(tail, 1, 13))
    if expires == ${NEVER} then set = redis.pcall('SET', KEYS[i + 1], head .. stamp .. tail, 'NX')
    elseif expires then
      local left = format('%.0f', (expires > now and expires - now or 0) + ttl)
      set = redis.pcall('SET', KEYS[i + 1], head .. stamp .. tail, 'NX', 'PX', left)
    end
    if set and set.ok then answer = done end
  end
`

/** As `PUT_SCRIPT`, of many. */
export const PUTS_SCRIPT: Script = manyOf(PUT_SCRIPT, 1, false, PUT_NEW)
