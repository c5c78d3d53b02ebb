import { createHash } from 'node:crypto'
import { NEVER } from '../cell.ts'
import {
  ENVELOPE_VERSION,
  EXPIRES_AT,
  FIRST_HEADER_LENGTH,
  HEADER_LENGTH,
  TOKEN_AT,
  WRITTEN_AT,
} from '../envelope.ts'
import type { RedisClient } from './connection/redis-client.ts'

/**
 * Both scripts touch one cell; judge time by the server's own clock, so that a late command refuses
 * itself; and answer with one integer: the server's time in milliseconds, times ten, plus the
 * outcome. The second key is the store's state (`tick.ts`), which refuses a write of another era;
 * in a cluster it is left out, since it need not be in the cell's slot. Lua counts from 1. Commands
 * not newer than Redis 6.2.
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
  /** The store is in another era, or in none. */
  era: 5,
  /** Another program's data is under the key. It is as it was. */
  foreign: 6,
  /** The same, and beside it stands that something has happened: what was missed before is not stored. */
  beside: 7,
} as const

/** The token of another program's data: no cell has it, and it is not that of nothing. */
export const FOREIGN = '?'

export const NOW = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
`

/** The cell as it would be written now. */
export const TEXT = `local text = ARGV[3] .. string.format('%.0f', now) .. ARGV[6] .. ARGV[4]
`

/** @param state which key is the store's state */
export const checkEra = (state: number): string => `
local ttl = tonumber(ARGV[5])
if KEYS[${state}] then
  local state = redis.call('HMGET', KEYS[${state}], 'era', 'ttl')
  if state[1] ~= ARGV[6] then return now * 10 + ${OUTCOME.era} end
  ttl = math.max(ttl, tonumber(state[2] or 0))
end
${TEXT}`

// What another program keeps there is left as it is: another type, or a text that is not an envelope
// (`isEnvelope`). Nothing and an empty text have the same range.
const CHECK_OWNER = `
local header = redis.pcall('GETRANGE', KEYS[1], 0, ${HEADER_LENGTH - 1})
if type(header) == 'table' then
  if not string.find(header.err, 'WRONGTYPE', 1, true) then return header end
  return now * 10 + ${OUTCOME.foreign}
end
if header == '' then
  if redis.call('GET', KEYS[1]) then return now * 10 + ${OUTCOME.foreign} end
else
  local _, last = string.find(header, '^%d[vbx][%w_.%-]+|')
  if last ~= ${HEADER_LENGTH} and last ~= ${FIRST_HEADER_LENGTH} then return now * 10 + ${OUTCOME.foreign} end
end
`

// KEYS: cell, state; ARGV: expected token ('*' for any), deadline, head, tail, tombstoneTtl, era
const PUT = `${NOW}${checkEra(2)}
if now > tonumber(ARGV[2]) then return now * 10 + ${OUTCOME.late} end
${CHECK_OWNER}
local expect = ARGV[1]
if expect ~= '*' and string.sub(header, ${TOKEN_AT + 1}, ${WRITTEN_AT}) ~= expect then
  return now * 10 + ${OUTCOME.refused}
end
local expires = tonumber(string.sub(ARGV[4], 1, 13))
if expires == ${NEVER} then
  redis.call('SET', KEYS[1], text)
else
  redis.call('SET', KEYS[1], text, 'PX',
    string.format('%.0f', math.max(expires - now, 0) + ttl))
end
return now * 10 + ${OUTCOME.done}
`

/**
 * Without memory for a tombstone the key is deleted instead, and `outcome` says so. A repayment leaves what was
 * written since it became due: somebody else may have settled the debt, and nothing would be pending any more.
 *
 * @param cell the variable that holds it
 */
export const setTombstone = (
  cell: string,
): string => `local reply = redis.pcall('SET', KEYS[1], text, 'PX', string.format('%.0f', ttl))
if reply.err then
  if not string.find(reply.err, 'OOM', 1, true) then return reply end
  local due = tonumber(ARGV[2])
  local written = tonumber(string.sub(${cell} or '', ${WRITTEN_AT + 1}, ${WRITTEN_AT + 13}))
  if due > 0 and written and written >= due then return reply end
  redis.call('DEL', KEYS[1])
  outcome = ${OUTCOME.deleted}
end
`

// KEYS: cell, state; ARGV: deadline, not before, head, tail, tombstoneTtl, era
const TOMBSTONE = `${NOW}${checkEra(2)}
if now < tonumber(ARGV[2]) then return now * 10 + ${OUTCOME.refused} end
if now > tonumber(ARGV[1]) then return now * 10 + ${OUTCOME.late} end
${CHECK_OWNER}
local outcome = ${OUTCOME.done}
local kind = string.sub(header, 1, 2)
if kind == '${ENVELOPE_VERSION}v' or kind == '${ENVELOPE_VERSION}b' then
  local expires = tonumber(string.sub(header, ${EXPIRES_AT + 1}, ${EXPIRES_AT + 13}))
  if expires and expires > now then outcome = ${OUTCOME.existed} end
end
${setTombstone('header')}return now * 10 + outcome
`

export interface Script {
  readonly source: string
  readonly sha: string
  /** It takes the expected token first. */
  readonly puts?: boolean
}

/** A script as it is run. */
export function script(source: string, puts: boolean = false): Script {
  return new NamedScript(source, puts)
}

/** Named when it is first run: a process that uses no Redis need not load what hashes. */
class NamedScript implements Script {
  readonly source: string
  readonly puts: boolean
  #sha: string | undefined

  constructor(source: string, puts: boolean) {
    this.source = source
    this.puts = puts
  }

  get sha(): string {
    return (this.#sha ??= createHash('sha1').update(this.source).digest('hex'))
  }
}

export const PUT_SCRIPT: Script = script(PUT, true)
export const TOMBSTONE_SCRIPT: Script = script(TOMBSTONE)

export interface ScriptAnswer {
  readonly outcome: number
  /** Epoch milliseconds. */
  readonly serverTime: number
}

/** By its digest; with its source when the server does not know it (a restart forgets scripts). */
export function evaluate(
  client: Pick<RedisClient, 'eval' | 'evalsha'>,
  { sha, source }: Script,
  keys: readonly string[],
  args: readonly string[],
): Promise<unknown> {
  return client.evalsha(sha, keys.length, ...keys, ...args).catch((error: unknown) => {
    if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error
    return client.eval(source, keys.length, ...keys, ...args)
  })
}

export function scriptAnswer(reply: unknown): ScriptAnswer {
  const answer = Number(reply)
  return { outcome: answer % 10, serverTime: Math.floor(answer / 10) }
}
