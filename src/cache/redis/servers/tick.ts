import { createHash, randomBytes } from 'node:crypto'
import { type BoardState, CALM_MS, type Heard, LICENCE_MS, type Word } from '../../backend.ts'
import type { RedisNode } from '../connection/redis-client.ts'
import { evaluate, script, type Script } from '../scripts.ts'

/**
 * For how long after its last sign of life a machine counts as running, where a new one takes its place: it may be
 * that one, with new files. If it does run, it says so within a second.
 */
const OWNER_MS = 3000

/**
 * What a server reports about itself, kept in one hash beside the cells: whatever takes cells from
 * the server, or brings old ones back, does the same to this hash. Its fields, when a new era begins,
 * and the board and licence of a pair of shared stores: docs/adr/0008-cells-and-eras.md. A replica
 * refuses to write `last`, so it is not mistaken for a master.
 */
// KEYS: state; ARGV: name of a new era, era to end ('-' none), tombstoneTtl, owner ('' none),
// '1' on a new connection, word about this store ('-' none), until when it may count, stamp of who gave it,
// `others` or `new` (`-`: neither), '1' when it must not be of a cluster, what becomes of the data of other
// programs in an era that begins: `first` (they count if there was no era before), `keep` (also if they did) or ''
const TICK: Script = script(`
local K, WORD, STAMP = KEYS[1], ARGV[6], ARGV[8]
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local function num(x) return string.format('%.0f', x) end
local id = 'unknown'
local info = redis.pcall('INFO', 'server')
if type(info) == 'string' then
  if ARGV[10] == '1' and string.find(info, 'redis_mode:cluster', 1, true) then return { 'cluster' } end
  id = string.match(info, 'run_id:(%w+)') or id
  local was = string.match(redis.call('INFO', 'replication'), 'master_replid2:(%w+)')
  if was and not string.find(was, '^0+$') then id = id .. was end
end
local before = redis.pcall('HMGET', K, 'last')
if before.err then
  if string.find(before.err, 'WRONGTYPE', 1, true) then return { 'foreign' } end
  return before
end
before = tonumber(before[1] or 0)
local last = redis.pcall('HSET', K, 'last', num(now))
if type(last) == 'table' and last.err and not string.find(last.err, 'OOM', 1, true) then return last end
local me = redis.call('HMGET', K, 'id', 'era', 'since', 'ttl', 'owner', 'seen',
  'licence', 'peer', 'said', 'owing', 'noted', 'n', 'others', 'board', 'adopted', 'came')
local owner, others = ARGV[4], me[13] or ''
if others == '' then
  local another = owner ~= '' and me[5] and me[5] ~= owner
  local function recent(at) return at and now - tonumber(at) < ${OWNER_MS} end
  if ARGV[9] == 'others' then others = '1'
  elseif another and ARGV[9] ~= 'new' then others = 'met'
  elseif another and recent(me[6]) then
    others = 'perhaps'
    redis.pcall('HSET', K, 'came', num(now))
  elseif recent(me[16]) then others = 'perhaps' end
  if others == '1' or others == 'met' then redis.pcall('HSET', K, 'others', '1') end
end
if owner ~= '' then redis.pcall('HSET', K, 'owner', owner, 'seen', num(now)) end
local ttl = math.max(tonumber(me[4] or 0), tonumber(ARGV[3]))
if ttl > tonumber(me[4] or 0) then redis.call('HSET', K, 'ttl', num(ttl)) end
local known = me[1] and (me[1] == id or #id == 40 and string.sub(me[1], 1, 40) == id)
local hidden = id == 'unknown' and ARGV[5] == '1'
local era, since, begun = me[2], me[3], '0'
local licence, peer, said = tonumber(me[7] or 0), me[8], tonumber(me[9] or 0)
local owing, noted = me[10] and tonumber(me[10]), tonumber(me[11] or 0)
local board = me[14]
local function begin()
  era = ARGV[1] since = num(now) begun = '1' licence = 0
  redis.call('HSET', K, 'id', id, 'era', era, 'since', since)
end
if not known or not era or not since then
  if peer then redis.call('HDEL', K, 'peer') end
  peer, board = nil, nil
  begin()
elseif hidden then
  board = nil
  begin()
elseif era == ARGV[2] then begin() end
if not board then
  board = since .. '.' .. era
  redis.call('HSET', K, 'board', board)
end
if now < before or now - before > ${LICENCE_MS} then
  licence = 0
  if owing then owing = now noted = now redis.pcall('HSET', K, 'owing', num(now), 'noted', num(now)) end
end
local left = math.min(math.max(licence - now, 0), ${LICENCE_MS})
local held, granted = left, tonumber(ARGV[7]) - now
if (WORD == 'c' or WORD == 'i') and peer ~= STAMP then
  if peer and tonumber(string.sub(STAMP, 1, 13)) < tonumber(string.sub(peer, 1, 13))
    and now - said < ${CALM_MS} and now >= said then
    WORD = '-'
  else
    if peer and left == 0 and begun == '0' then begin() end
    local set = redis.pcall('HSET', K, 'peer', STAMP)
    if type(set) == 'table' and set.err then WORD = '-' end
  end
end
if WORD == 'i' then left = 0
elseif WORD == 's' and left == 0 and now - said > ${CALM_MS} and granted > 0 and granted <= ${LICENCE_MS} then
  begin()
  left = granted
elseif granted > left and granted <= ${LICENCE_MS} and (WORD == 'c'
  or (WORD == 'o' or WORD == 's') and left > 0 and left < ${LICENCE_MS / 2}) then
  left = granted
end
if left == 0 then
  if me[7] then redis.call('HDEL', K, 'licence') end
elseif left ~= held then
  local set = redis.pcall('HSET', K, 'licence', num(now + left))
  if type(set) == 'table' and set.err then left = begun == '1' and 0 or held end
end
if WORD == 'c' or WORD == 'i' then redis.pcall('HSET', K, 'said', num(now)) end
if owing and tonumber(me[12] or 0) == 0 and now - math.max(owing, noted) > ${CALM_MS} then
  redis.call('HDEL', K, 'owing', 'noted')
  owing = nil
end
local adopted = me[15]
if begun == '1' and ARGV[11] ~= '' and (not me[2] or ARGV[11] == 'keep' and known and adopted == me[2]) then
  adopted = era
  redis.pcall('HSET', K, 'adopted', era)
end
return { num(now), era, since, num(ttl), id, begun, num(left), owing and num(owing) or '', me[12] or '0', peer or '',
  others, board, adopted == era and '1' or '' }
`)

export interface TickAnswer extends Heard, BoardState {
  /** The era as the cells carry it. */
  readonly name: string
  readonly tombstoneTtl: number
  /** The server does not report its identity. */
  readonly anonymous: boolean
  /** Until when, by `performance.now()`, its cells may be used without asking the board. */
  readonly licensedUntil: number
  /** The stamp of the board that vouched for it last; `''` for none. */
  readonly peer: string
  /** Values that other programs have there without a trace of the switch may be used: nothing was lost so far. */
  readonly adopted: boolean
}

export interface TickQuestion {
  readonly key: string
  /** The era to end, if it is still the present one. */
  readonly end: string | undefined
  readonly tombstoneTtl: number
  /** Names the machine, by its file store; `''` where there is none. */
  readonly owner: string
  /** It knows that others use this prefix too. */
  readonly others: boolean
  /** It has not met any server before: its file store is new. */
  readonly newcomer: boolean
  readonly newConnection: boolean
  /** It must not be a node of a cluster. */
  readonly lone: boolean
  readonly word: Word | undefined
  /** See the script. */
  readonly adopt: 'first' | 'keep' | ''
}

/**
 * Asks a server for its era, and begins another one where needed. `foreign`: another program's data is in the
 * place of the state; `cluster`: a node of a cluster, where that must not be.
 */
export async function tick(
  node: RedisNode,
  question: TickQuestion,
): Promise<TickAnswer | 'foreign' | 'cluster'> {
  const { key, end = '-', tombstoneTtl, owner, others, newcomer, newConnection, word } = question
  const sentAt = performance.now()
  const reply = await evaluate(
    node,
    TICK,
    [key],
    [
      randomBytes(6).toString('hex'),
      end,
      String(tombstoneTtl),
      owner,
      newConnection ? '1' : '0',
      word?.says ?? '-',
      String(Math.floor(word?.until ?? 0)),
      word?.stamp ?? '',
      others ? 'others' : newcomer ? 'new' : '-',
      question.lone ? '1' : '0',
      question.adopt,
    ],
  )
  const [
    now,
    name = '',
    since,
    ttl,
    id = '',
    begun,
    left,
    owing,
    owed,
    peer = '',
    met = '',
    board = '',
    adopted,
  ] = (reply as (string | Buffer)[]).map(String)
  if (now === 'foreign' || now === 'cluster') return now
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
    stamp: board,
    licensedUntil: sentAt + Number(left),
    owing: owing !== '',
    owed: Number(owed),
    peer,
    adopted: adopted === '1',
    ...(met !== '' && { others: met === '1' ? 'known' : (met as 'met' | 'perhaps') }),
  }
}
