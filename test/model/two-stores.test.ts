import { describe, expect, test } from 'vitest'
import { everyFew } from '../support/full.ts'
import { checkPair } from './two-stores.ts'
import { PAIR_HELD, PAIR_REFUTED } from './two-stores-settings.ts'

/** Enough for every setting here to be explored to its end. */
const MOST_STATES = 40_000

/** Some rules are refuted in one setting: that it holds with all of them is explored once. */
const held = new Map<string, ReturnType<typeof checkPair>>()
function heldOnce(
  rules: Parameters<typeof checkPair>[0],
  setting: Parameters<typeof checkPair>[1],
): ReturnType<typeof checkPair> {
  const key = JSON.stringify([rules, setting])
  const known = held.get(key) ?? checkPair(rules, setting, MOST_STATES)
  held.set(key, known)
  return known
}

describe('two shared stores, state by state', () => {
  for (const { name, setting } of everyFew(
    PAIR_HELD.filter(({ deep }) => deep !== true),
    3,
  )) {
    test(`holds: ${name}`, { timeout: 120_000 }, () => {
      const { verdict, story } = heldOnce({}, setting)
      expect(story).toEqual([])
      expect(verdict).toBe('HOLDS')
    })
  }
})

describe('each rule left out has its story', () => {
  for (const { rule, also = [], setting, deepHold } of everyFew(
    PAIR_REFUTED.filter(({ deep }) => deep !== true),
    3,
  )) {
    const off = Object.fromEntries(also.map((name) => [name, false]))
    test(`without ${rule}`, { timeout: 120_000 }, () => {
      const { verdict, story } = checkPair({ ...off, [rule]: false }, setting, MOST_STATES)
      expect(verdict).toBe('VIOLATED')
      // It ends in what a user would see.
      expect(story.at(-1)).toMatch(/ => STALE: /u)
    })
    if (deepHold === true) continue
    test(`with ${rule} the same setting holds`, { timeout: 120_000 }, () => {
      expect(heldOnce(off, setting)).toMatchObject({ verdict: 'HOLDS', story: [] })
    })
  }
})
