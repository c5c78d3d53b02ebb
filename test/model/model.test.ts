import { describe, expect, test } from 'vitest'
import { everyFew } from '../support/full.ts'
import { check } from './protocol.ts'
import { HELD, REFUTED } from './settings.ts'

/** Enough for every setting here to be explored to its end. */
const MOST_STATES = 60_000

/** Some rules are refuted in one setting: that it holds with all of them is explored once. */
const held = new Map<string, ReturnType<typeof check>>()
function heldOnce(setting: Parameters<typeof check>[1]): ReturnType<typeof check> {
  const key = JSON.stringify(setting)
  const known = held.get(key) ?? check({}, setting, MOST_STATES)
  held.set(key, known)
  return known
}

describe('the protocol, state by state', () => {
  for (const { name, setting } of everyFew(
    HELD.filter(({ deep }) => deep !== true),
    3,
  )) {
    test(`holds: ${name}`, { timeout: 120_000 }, () => {
      const { verdict, story } = heldOnce(setting)
      expect(story).toEqual([])
      expect(verdict).toBe('HOLDS')
    })
  }
})

describe('each rule left out has its story', () => {
  for (const { rule, setting } of everyFew(REFUTED, 3)) {
    test(`without ${rule}`, { timeout: 120_000 }, () => {
      const { verdict, story } = check({ [rule]: false }, setting, MOST_STATES)
      expect(verdict).toBe('VIOLATED')
      // It ends in what a user would see.
      expect(story.at(-1)).toMatch(/ => (?:STALE|FOR GOOD): /u)
    })
    test(`with ${rule} the same setting holds`, { timeout: 120_000 }, () => {
      expect(heldOnce(setting)).toMatchObject({ verdict: 'HOLDS', story: [] })
    })
  }
})
