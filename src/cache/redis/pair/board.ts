import {
  type Board,
  type BoardAnswer,
  type BoardState,
  LICENCE_MS,
  type NotedOn,
  type OwedOn,
  type Word,
} from '../../backend.ts'
import type { Cell } from '../../cell.ts'
import type { RedisClient } from '../connection/redis-client.ts'
import { redisError } from '../redis-errors.ts'
import { evaluate, script, type Script } from '../scripts.ts'
import type { Server } from '../servers/server.ts'

/*
 * What the other store of a pair owes, in the hash beside this store's cells (`tick.ts` lists the fields): lost
 * as a whole or not at all, and its loss begins another board, by which the other store knows that debts may be
 * forgotten.
 */

/** As many fields of the state are no debts, at most. */
const OTHER_FIELDS = 16

// KEYS: state; ARGV: field ('' none), `generation|not before`, stamp of the board heard, most debts
const NOTE: Script = script(`
local K, field, value = KEYS[1], ARGV[1], ARGV[2]
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local n = string.format('%.0f', now)
local me = redis.call('HMGET', K, 'board', 'owing', 'last', 'n', 'all')
if me[1] ~= ARGV[3] then return { 'era' } end
if field ~= '' then
  if me[5] or tonumber(me[4] or 0) >= tonumber(ARGV[4]) then field = 'all' end
  local old = redis.call('HMGET', K, field)[1]
  if old then
    local due = string.match(old, '|(%d+)$')
    if tonumber(due) > tonumber(string.match(value, '|(%d+)$')) then
      value = string.match(value, '^[^|]*') .. '|' .. due
    end
  else redis.call('HINCRBY', K, 'n', 1) end
  redis.call('HSET', K, field, value)
end
local last, since = tonumber(me[3] or 0), tonumber(me[2] or now)
if not me[2] or now < last or now - last > ${LICENCE_MS} then
  since = now
  redis.call('HSET', K, 'owing', n)
end
redis.call('HSET', K, 'noted', n, 'last', n)
return { n, string.format('%.0f', since) }
`)

// KEYS: state; ARGV: field
const ASK: Script = script(`return redis.call('HMGET', KEYS[1], 'board', 'all', ARGV[1])`)

// KEYS: cell, state
export const BOARD_READ: Script = script(`
local text = redis.pcall('GET', KEYS[1])
if type(text) == 'table' then text = false end
local me = redis.call('HMGET', KEYS[2], 'era', 'peer')
return { me[1] or '', me[2] or '', text }
`)

// KEYS: state; ARGV: most fields. Any of them, so that processes that repay at the same time meet less.
const LIST: Script = script(`
local all = redis.call('HMGET', KEYS[1], 'all')[1]
if all then return { 'all', all } end
return redis.call('HRANDFIELD', KEYS[1], ARGV[1], 'WITHVALUES')
`)

// KEYS: state; ARGV: field, its value
const SETTLE: Script = script(`
local K, field = KEYS[1], ARGV[1]
if redis.call('HMGET', K, field)[1] ~= ARGV[2] then return 0 end
if field ~= 'all' then
  -- Without memory this fails, and then nothing is to be done.
  redis.call('HINCRBY', K, 'n', -1)
  redis.call('HDEL', K, field)
  return 1
end
for _, one in ipairs(redis.call('HKEYS', K)) do
  if string.sub(one, 1, 2) == 'o:' then redis.call('HDEL', K, one) end
end
redis.call('HDEL', K, 'all', 'n')
return 1
`)

const ALL_FIELD = 'all'

export interface BoardParts {
  readonly client: RedisClient
  readonly server: Server
  readonly stateName: string
}

/** The board that a Redis keeps for the other store of its pair. */
export abstract class StateBoard implements Board {
  readonly #parts: BoardParts

  constructor(parts: BoardParts) {
    this.#parts = parts
  }

  get licensed(): boolean {
    return this.#parts.server.licensed
  }

  async tick(word: Word | undefined): Promise<BoardState> {
    const { server } = this.#parts
    await server.ask(undefined, word)
    return server.heard!
  }

  async ask(key: string): Promise<BoardAnswer> {
    const { server } = this.#parts
    const [board, all, one] = await this.#run<(string | null)[]>(ASK, [fieldOf(key)])
    const stamp = board ?? ''
    // A server that has just taken over begins another era when it is first asked who it is.
    if (!server.trusted || server.heard?.stamp !== stamp) await server.ask()
    const present = server.heard?.stamp === stamp
    return { stamp, owes: !present || all !== null || one !== null }
  }

  abstract read(key: string, stamp: string): Promise<Cell | undefined>

  async note(owed: OwedOn | undefined, stamp: string, most: number): Promise<NotedOn | undefined> {
    const field = owed === undefined ? '' : fieldOf(owed.key)
    const value = owed?.value ?? ''
    const [now, since] = await this.#run<string[]>(NOTE, [field, value, stamp, String(most)])
    if (now === 'era') return undefined
    return {
      leftMs: Math.min(Number(since) + LICENCE_MS - Number(now), LICENCE_MS),
      since: Number(since),
    }
  }

  async list(limit: number): Promise<readonly OwedOn[]> {
    const flat = await this.#run<string[]>(LIST, [String(limit + OTHER_FIELDS)])
    const found: OwedOn[] = []
    for (let i = 0; i < flat.length; i += 2) {
      const [field, value] = [flat[i]!, flat[i + 1]!]
      if (field === ALL_FIELD) return [{ key: undefined, value }]
      const key = keyOf(field)
      if (key !== undefined) found.push({ key, value })
    }
    return found
  }

  async settle({ key, value }: OwedOn): Promise<boolean> {
    const field = fieldOf(key)
    return (await this.#run<number>(SETTLE, [field, value])) === 1
  }

  async #run<T>(which: Script, args: readonly string[]): Promise<T> {
    const { client, stateName } = this.#parts
    try {
      return (await evaluate(client, which, [stateName], args)) as T
    } catch (error) {
      throw redisError(error)
    }
  }
}

export interface RedisBoardParts extends BoardParts {
  /** Where a cell is: one name, or several. */
  readonly namesOf: (key: string) => readonly string[]
  /** The cell that the texts under its names stand for. */
  readonly open: (texts: readonly (string | null)[], era: string) => Cell
  /** Answers with the era, who vouched for it, and the texts. */
  readonly script: Script
}

/** Of a lone Redis: its state is beside its cells. */
export class RedisBoard extends StateBoard {
  readonly #parts: RedisBoardParts

  constructor(parts: RedisBoardParts) {
    super(parts)
    this.#parts = parts
  }

  async read(key: string, stamp: string): Promise<Cell | undefined> {
    const { server, namesOf, open, script: read, client, stateName } = this.#parts
    const names = namesOf(key)
    try {
      if (!server.trusted) await server.ask()
      const reply = await evaluate(client, read, [...names, stateName], [])
      const [era, peer, ...texts] = reply as [string, string, ...(string | null)[]]
      if (era !== server.heard?.name) await server.ask()
      if (peer !== stamp || era !== server.heard?.name) return undefined
      return open(texts, era)
    } catch (error) {
      throw redisError(error)
    }
  }
}

/** JSON, since UTF-8 cannot carry every key. */
function fieldOf(key: string | undefined): string {
  return key === undefined ? ALL_FIELD : `o:${JSON.stringify(key)}`
}

function keyOf(field: string): string | undefined {
  if (!field.startsWith('o:')) return undefined
  try {
    return String(JSON.parse(field.slice(2)))
  } catch {
    // Somebody else's field: nothing to repay.
    return undefined
  }
}
