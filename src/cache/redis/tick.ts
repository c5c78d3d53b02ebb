import { createHash, randomBytes } from 'node:crypto'
import type { Heard } from '../backend.ts'
import type { RedisNode } from './client.ts'
import { evaluate, script, type Script } from './scripts.ts'

/** For how long after its last word the machine that owns a prefix counts as running. */
const OWNER_MS = 3000

/**
 * What a server says of itself, kept in one hash beside the cells: whatever takes cells from the server,
 * or brings old ones back, does the same to this.
 *
 * - `id`: who the server was when the era began: its `run_id`, and when it was a replica since it started,
 *   the data set that it followed then. Missing (flushed, evicted, restarted empty) or another's (restarted
 *   from a snapshot, promoted, back from REPLICAOF): a new era begins.
 * - `era`: a random name. Each cell carries the era in which it was written and counts in no other.
 * - `since`: when the era began. `ttl`: the longest tombstone life of any process.
 * - `owner`, `seen`: the machine that uses this prefix alone, and when it last said so.
 *
 * A replica refuses to write `last`, and so nobody takes it for a master.
 */
// KEYS: state; ARGV: name of a new era, era to end ('-' none), tombstoneTtl, owner ('' none),
// '1' on a new connection
const TICK: Script = script(`
local K = KEYS[1]
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local function num(x) return string.format('%.0f', x) end
local id = 'unknown'
local info = redis.pcall('INFO', 'server')
if type(info) == 'string' then
  id = string.match(info, 'run_id:(%w+)') or id
  local was = string.match(redis.call('INFO', 'replication'), 'master_replid2:(%w+)')
  if was and not string.find(was, '^0+$') then id = id .. was end
end
local last = redis.pcall('HSET', K, 'last', num(now))
if type(last) == 'table' and last.err then
  if string.find(last.err, 'WRONGTYPE', 1, true) then redis.call('DEL', K)
  elseif not string.find(last.err, 'OOM', 1, true) then return last end
end
local me = redis.call('HMGET', K, 'id', 'era', 'since', 'ttl', 'owner', 'seen')
local owner = ARGV[4]
if owner ~= '' then
  if me[5] and me[5] ~= owner and now - tonumber(me[6] or 0) < ${OWNER_MS} then return { 'shared' } end
  redis.pcall('HSET', K, 'owner', owner, 'seen', num(now))
end
local ttl = math.max(tonumber(me[4] or 0), tonumber(ARGV[3]))
if ttl > tonumber(me[4] or 0) then redis.call('HSET', K, 'ttl', num(ttl)) end
local known = me[1] and (me[1] == id or #id == 40 and string.sub(me[1], 1, 40) == id)
local hidden = id == 'unknown' and ARGV[5] == '1'
local era, since, begun = me[2], me[3], '0'
if not known or not era or not since or era == ARGV[2] or hidden then
  era = ARGV[1] since = num(now) begun = '1'
  redis.call('HSET', K, 'id', id, 'era', era, 'since', since)
end
return { num(now), era, since, num(ttl), id, begun }
`)

export interface TickAnswer extends Heard {
  /** The era as the cells carry it. */
  readonly name: string
  readonly tombstoneTtl: number
  /** The server does not say who it is. */
  readonly anonymous: boolean
}

export interface TickQuestion {
  readonly key: string
  /** The era to end, if it is still the present one. */
  readonly end: string | undefined
  readonly tombstoneTtl: number
  /** Names the machine that may use this prefix; `''` where several may. */
  readonly owner: string
  readonly newConnection: boolean
}

/** Asks a server for its era, and begins another one where that is called for. `undefined`: see `owner`. */
export async function tick(
  node: RedisNode,
  question: TickQuestion,
): Promise<TickAnswer | undefined> {
  const { key, end = '-', tombstoneTtl, owner, newConnection } = question
  const reply = await evaluate(
    node,
    TICK,
    [key],
    [randomBytes(6).toString('hex'), end, String(tombstoneTtl), owner, newConnection ? '1' : '0'],
  )
  const [now, name = '', since, ttl, id = '', begun] = (reply as (string | Buffer)[]).map(String)
  if (now === 'shared') return undefined
  return {
    era: Number.parseInt(name, 16),
    name,
    server: Number.parseInt(createHash('sha1').update(id).digest('hex').slice(0, 12), 16),
    since: Number(since),
    now: Number(now),
    begun: begun === '1',
    again: false,
    changed: false,
    tombstoneTtl: Number(ttl),
    anonymous: id === 'unknown',
  }
}
