import { type Script, script, TEXT } from '../scripts.ts'

/** What an answer begins with that stands for an error of Redis. Others are numbers, or empty. */
export const ERROR_MARK = '-'

/**
 * Does for many cells what a script does for one, and by its very text: the time and the era are asked for once, and
 * the rest is a function that is called for one cell after another. Each has an answer of its own, and an error of
 * one leaves the others alone. In another era there is one answer for all.
 *
 * KEYS: those of each cell, then the state; ARGV: deadline, tombstoneTtl, era, then of each cell the others
 *
 * @param names keys of a cell
 * @param hasValue its last argument is a value under a key of its own
 */
export function manyOf({ source }: Script, names: 1 | 2, hasValue = false): Script {
  const [once = '', each = ''] = source.split(TEXT)
  const shared = once
    .replaceAll(`KEYS[${names + 1}]`, 'KEYS[#KEYS]')
    .replaceAll('ARGV[5]', 'ARGV[2]')
    .replaceAll('ARGV[6]', 'ARGV[3]')
  const [count, value] = hasValue ? [4, ', ARGV[at + 4]'] : [3, '']
  const second = names === 2 ? ', KEYS[i * 2 + 2]' : ''
  return script(`${shared}
local function one(KEYS, ARGV)
${TEXT}${each}
end
local answers = {}
for i = 0, (#ARGV - 3) / ${count} - 1 do
  local at = 3 + i * ${count}
  local ok, answer = pcall(one, { KEYS[i * ${names} + 1]${second} },
    { ARGV[at + 1], ARGV[1], ARGV[at + 2], ARGV[at + 3], ARGV[2], ARGV[3]${value} })
  if type(answer) == 'table' then answer = '${ERROR_MARK}' .. answer.err
  elseif not ok then answer = '${ERROR_MARK}' .. answer end
  answers[i + 1] = answer
end
return answers
`)
}
