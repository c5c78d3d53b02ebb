import { describe, expect, test } from 'vitest'
import { everyFew } from '../support/full.ts'
import { FLEET_HELD, FLEET_REFUTED } from './private-sides-settings.ts'
import { checkFleet } from './private-sides.ts'

/** Enough for every setting here to be explored to its end. */
const MOST_STATES = 40_000

describe('old sides of machines, one Redis, state by state', () => {
  for (const { name, setting } of everyFew(
    FLEET_HELD.filter(({ deep }) => deep !== true),
    3,
  )) {
    test(`holds: ${name}`, { timeout: 120_000 }, () => {
      expect(checkFleet({}, setting, MOST_STATES)).toMatchObject({ verdict: 'HOLDS', story: [] })
    })
  }
})

describe('each rule left out has its story', () => {
  for (const { rule, setting, deepHold } of everyFew(FLEET_REFUTED, 3)) {
    test(`without ${rule}`, { timeout: 120_000 }, () => {
      const { verdict, story } = checkFleet({ [rule]: false }, setting, MOST_STATES)
      expect(verdict).toBe('VIOLATED')
      // It ends in what a user would see.
      expect(story.at(-1)).toMatch(/ => STALE: /u)
    })
    if (deepHold === true) continue
    test(`with ${rule} the same setting holds`, { timeout: 120_000 }, () => {
      expect(checkFleet({}, setting, MOST_STATES)).toMatchObject({ verdict: 'HOLDS', story: [] })
    })
  }
})
