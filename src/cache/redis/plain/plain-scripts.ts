import { HEADER_LENGTH, LENGTH_AT, SUCCESSOR_AT, TOKEN_AT, WRITTEN_AT } from '../../envelope.ts'
import { NEVER, TOKEN_LENGTH } from '../../cell.ts'
import { manyOf } from '../many/many-scripts.ts'
import { checkEra, FOREIGN, NOW, OUTCOME, type Script, script, setTombstone } from '../scripts.ts'

/*
 * A value under the application's own key, and in its own text; beside it in the same slot a companion, which is a
 * cell whose payload is the digest of the value. A value with another digest, or without a companion, was written
 * by somebody else. Each script writes both or neither.
 */

const FOREIGN_THERE = `return now * 10 + ${OUTCOME.foreign}`

/**
 * `token` becomes that of the cell: see `tokenOfForeign`, `tokenOfGone`.
 *
 * @param whole an expression: whether the value is needed, or only whether there is one
 * @param otherType what happens when the value's key holds another type
 */
const look = (whole: string, otherType: string = FOREIGN_THERE): string => `
local companion = redis.pcall('GET', KEYS[1])
local value
if ${whole} then value = redis.pcall('GET', KEYS[2]) else value = redis.pcall('GETRANGE', KEYS[2], 0, 0) end
for i, found in ipairs({ companion or '', value or '' }) do
  if type(found) == 'table' then
    if not string.find(found.err, 'WRONGTYPE', 1, true) then return found end
    if i == 1 then ${FOREIGN_THERE} end
    ${otherType}
  end
end
local token, own, digest = '', false
if companion then
  local _, last = string.find(companion, '^%d[vbx][%w_.%-]+|')
  if last ~= ${HEADER_LENGTH} then return now * 10 + ${OUTCOME.foreign} end
  token = string.sub(companion, ${TOKEN_AT + 1}, ${WRITTEN_AT})
end
if value and ${whole} then
  digest = redis.sha1hex(value)
  own = companion and string.sub(companion, 2, 2) == 'v' and string.sub(companion, ${HEADER_LENGTH + 1}) == digest
  if not own then token = string.sub(redis.sha1hex(digest .. token), 1, ${TOKEN_LENGTH}) end
elseif not value and companion and string.sub(companion, 2, 2) == 'v' then
  token = string.sub(redis.sha1hex(token), 1, ${TOKEN_LENGTH})
end
`

// KEYS: companion, value, state; ARGV: expected token ('*' for any), deadline, head, tail, tombstoneTtl, era, value
const NOTHING = "do return '' end"
const ERA_OVER = `return now * 10 + ${OUTCOME.era}`

const PUT = `${NOW}${checkEra(3)}
if now > tonumber(ARGV[2]) then return now * 10 + ${OUTCOME.late} end
local expect = ARGV[1]
${look("expect ~= '*'")}
if expect == '${FOREIGN}' then return now * 10 + ${OUTCOME.foreign} end
if expect ~= '*' and token ~= expect then return now * 10 + ${OUTCOME.refused} end
local expires = tonumber(string.sub(ARGV[4], 1, 13))
if expires == ${NEVER} then
  redis.call('SET', KEYS[1], text)
  redis.call('SET', KEYS[2], ARGV[7])
else
  local left = math.max(expires - now, 0)
  redis.call('SET', KEYS[1], text, 'PX', string.format('%.0f', left + ttl))
  if left > 0 then redis.call('SET', KEYS[2], ARGV[7], 'PX', string.format('%.0f', left))
  else redis.call('DEL', KEYS[2]) end
end
return now * 10 + ${OUTCOME.done}
`

/** In the place of a successor: the value is somebody else's, of which a copy is on the other side. */
export const CLAIMED = 'claimed.....'

const TIMES = `${NOW}${checkEra(3)}
if now < tonumber(ARGV[2]) then return now * 10 + ${OUTCOME.refused} end
if now > tonumber(ARGV[1]) then return now * 10 + ${OUTCOME.late} end
`

/**
 * Beside another type stands a tombstone that has ended: its token refuses what was missed before, and what another
 * program writes there next is seen at once, as if nothing stood there.
 */
const BURY = `${TIMES}
local other = false
${look('false', 'other = true')}
local outcome = ${OUTCOME.done}
if other then
  outcome = ${OUTCOME.beside}
  text = ARGV[3] .. string.format('%.0f', now - ttl) .. ARGV[6] .. ARGV[4]
elseif value and value ~= '' or redis.call('GET', KEYS[2]) then
  outcome = ${OUTCOME.existed}
end
${setTombstone('companion')}if not other then redis.call('DEL', KEYS[2]) end
return now * 10 + outcome
`

/** Leaves what somebody else wrote. */
const CLEAR = `${TIMES}
${look('true')}
if value and (not own or string.sub(companion, ${SUCCESSOR_AT + 1}, ${LENGTH_AT}) == '${CLAIMED}') then return now * 10 + ${OUTCOME.refused} end
local outcome = ${OUTCOME.done}
if value then outcome = ${OUTCOME.existed} end
${setTombstone('companion')}redis.call('DEL', KEYS[2])
return now * 10 + outcome
`

export const PLAIN_PUT: Script = script(PUT, true)
export const PLAIN_PUTS: Script = manyOf(PLAIN_PUT, 2, true)

// KEYS: companion, value, state; ARGV: deadline, not before, head, tail, tombstoneTtl, era
export const PLAIN_TOMBSTONE: Script = script(BURY)
/** Of `clear`. */
export const PLAIN_CLEAR: Script = script(CLEAR)

// KEYS: companion, value, state; ARGV: token, nothing, head, written at, tombstoneTtl, era. When the value ends,
// or nothing.
export const PLAIN_CLAIM: Script = script(`${NOW}${checkEra(3).replace(ERA_OVER, NOTHING)}
${look('true').replaceAll(FOREIGN_THERE, NOTHING)}
if not value or own or token ~= ARGV[1] then ${NOTHING} end
local left = redis.call('PTTL', KEYS[2])
local ends = left < 0 and ${NEVER} or now + left
local mark = ARGV[3] .. ARGV[4] .. ARGV[6] .. string.format('%.0f', ends) .. '${CLAIMED}000000040|' .. digest
if left < 0 then redis.call('SET', KEYS[1], mark)
else redis.call('SET', KEYS[1], mark, 'PX', string.format('%.0f', left + ttl)) end
return string.format('%.0f', ends)
`)
/** A value that the switch has never touched. */
const CLAIM_NEW = `
  local name, value = KEYS[i * 2 + 2]
  if redis.pcall('GET', KEYS[i * 2 + 1]) == false then value = redis.pcall('GET', name) end
  if type(value) == 'string' then
    local digest = redis.sha1hex(value)
    if sub(redis.sha1hex(digest), 1, ${TOKEN_LENGTH}) == sub(head, ${WRITTEN_AT + 1}) then
      local left = redis.call('PTTL', name)
      local ends = format('%.0f', left < 0 and ${NEVER} or now + left)
      local mark = sub(head, 1, ${WRITTEN_AT}) .. tail .. ARGV[3] .. ends .. '${CLAIMED}000000040|' .. digest
      local set
      if left < 0 then set = redis.pcall('SET', KEYS[i * 2 + 1], mark)
      else set = redis.pcall('SET', KEYS[i * 2 + 1], mark, 'PX', format('%.0f', left + ttl)) end
      if set.ok then answer = ends end
    end
  end
`
export const PLAIN_CLAIMS: Script = manyOf(PLAIN_CLAIM, 2, false, CLAIM_NEW)

const texts = `
local companion, value = redis.pcall('GET', KEYS[1]), redis.pcall('GET', KEYS[2])
if type(companion) == 'table' then companion = '${FOREIGN}' end
if type(value) == 'table' then companion = '${FOREIGN}' value = false end
`

/** For who follows the store. KEYS: companion, value, state */
export const PLAIN_ASK: Script = script(`${texts}
return { redis.call('HMGET', KEYS[3], 'era')[1] or '', companion, value }
`)

/** For who has no licence. KEYS: companion, value, state */
export const PLAIN_READ: Script = script(`${texts}
local me = redis.call('HMGET', KEYS[3], 'era', 'peer')
return { me[1] or '', me[2] or '', companion, value }
`)
