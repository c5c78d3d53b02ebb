import { createHash } from 'node:crypto'
import { NEVER } from '../cell.ts'
import { ENVELOPE_VERSION, EXPIRES_AT, HEADER_LENGTH, TOKEN_AT, WRITTEN_AT } from '../envelope.ts'
import type { RedisClient } from './client.ts'

/*
 * Both scripts touch one key, so that a cluster can route them; judge time by the server's own clock,
 * so that a command which arrives late refuses itself; and answer with one integer: the server's
 * time in milliseconds, times ten, plus the outcome.
 *
 * Lua counts from 1. Commands not newer than Redis 6.2.
 */

/** The last digit of an answer. */
export const OUTCOME = {
  /** The token was not the expected one, or it is too early. */
  refused: 0,
  done: 1,
  /** Done, and a live value was there. */
  existed: 2,
  /** The deadline has passed. */
  late: 3,
  /** No memory for a tombstone: the key was deleted instead. */
  deleted: 4,
} as const

/** The token of a text that is no envelope: a conditional write must still find the very same text. */
export function tokenOfGarbage(raw: Buffer): string {
  return `?${createHash('sha1').update(raw).digest('hex').slice(0, 11)}`
}

const NOW = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
`

// KEYS[1]; ARGV: expected token ('*' for any), deadline, head, tail, tombstoneTtl
const PUT = `${NOW}
if now > tonumber(ARGV[2]) then return now * 10 + ${OUTCOME.late} end
local expect = ARGV[1]
if expect ~= '*' then
  local found
  if string.sub(expect, 1, 1) == '?' then
    found = redis.pcall('GET', KEYS[1])
    if type(found) == 'string' then found = '?' .. string.sub(redis.sha1hex(found), 1, 11) end
  else
    found = redis.pcall('GETRANGE', KEYS[1], ${TOKEN_AT}, ${WRITTEN_AT - 1})
    -- A list, a hash or the like: nothing of ours is there.
    if type(found) == 'table' then found = '' end
  end
  if found ~= expect then return now * 10 + ${OUTCOME.refused} end
end
local text = ARGV[3] .. string.format('%.0f', now) .. ARGV[4]
local expires = tonumber(string.sub(ARGV[4], 1, 13))
if expires == ${NEVER} then
  redis.call('SET', KEYS[1], text)
else
  redis.call('SET', KEYS[1], text, 'PX',
    string.format('%.0f', math.max(expires - now, 0) + ARGV[5]))
end
return now * 10 + ${OUTCOME.done}
`

// KEYS[1]; ARGV: deadline, not before, head, tail, tombstoneTtl
const TOMBSTONE = `${NOW}
if now < tonumber(ARGV[2]) then return now * 10 + ${OUTCOME.refused} end
if now > tonumber(ARGV[1]) then return now * 10 + ${OUTCOME.late} end
local outcome = ${OUTCOME.done}
local header = redis.pcall('GETRANGE', KEYS[1], 0, ${HEADER_LENGTH - 1})
if type(header) == 'string' and #header == ${HEADER_LENGTH} then
  local kind = string.sub(header, 1, 2)
  if kind == '${ENVELOPE_VERSION}v' or kind == '${ENVELOPE_VERSION}b' then
    local expires = tonumber(string.sub(header, ${EXPIRES_AT + 1}, ${EXPIRES_AT + 13}))
    if expires and expires > now then outcome = ${OUTCOME.existed} end
  end
end
local reply = redis.pcall('SET', KEYS[1],
  ARGV[3] .. string.format('%.0f', now) .. ARGV[4], 'PX', ARGV[5])
if reply.err then
  if not string.find(reply.err, 'OOM', 1, true) then return reply end
  redis.call('DEL', KEYS[1])
  outcome = ${OUTCOME.deleted}
end
return now * 10 + outcome
`

export interface Script {
  readonly source: string
  readonly sha: string
}

export const PUT_SCRIPT: Script = script(PUT)
export const TOMBSTONE_SCRIPT: Script = script(TOMBSTONE)

function script(source: string): Script {
  return { source, sha: createHash('sha1').update(source).digest('hex') }
}

export interface ScriptAnswer {
  readonly outcome: number
  /** Epoch milliseconds. */
  readonly serverTime: number
}

/** By its digest; with its source when the server does not know it (a restart forgets scripts). */
export async function runScript(
  client: RedisClient,
  { sha, source }: Script,
  key: string,
  ...args: string[]
): Promise<ScriptAnswer> {
  let reply: unknown
  try {
    reply = await client.evalsha(sha, 1, key, ...args)
  } catch (error) {
    if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error
    reply = await client.eval(source, 1, key, ...args)
  }
  const answer = Number(reply)
  return { outcome: answer % 10, serverTime: Math.floor(answer / 10) }
}
