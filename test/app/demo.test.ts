// @needs redis
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { runCli } from './child.ts'

interface DemoJson {
  readonly ok: boolean
  readonly users: readonly {
    readonly user: string
    readonly side: string
    readonly value: string
    readonly first: { readonly outcome: string; readonly servedBy: string }
    readonly again: { readonly outcome: string; readonly servedBy: string }
  }[]
  readonly steps: readonly {
    readonly from: number
    readonly to: number
    readonly users: number
    readonly on: number
    readonly lost: number
    readonly lastUserMs: number
    readonly requests: number
    readonly failed: number
  }[]
  readonly seconds: number
}

describe('switchback demo', () => {
  it('tells the story in 80 plain columns and leaves nothing behind', async () => {
    const temporary = mkdtempSync(join(tmpdir(), 'switchback-demo-test-'))
    onTestFinished(() => rmSync(temporary, { recursive: true, force: true }))
    const demo = runCli(['demo'], {
      TMPDIR: temporary,
      FLAGD_HOST: 'flagd.invalid',
      REDIS_URL: 'redis://redis.invalid',
    })
    expect(await demo.ended).toBe(0)
    const text = demo.stdout()
    for (let i = 0; i < 5; i += 1) {
      expect(text).toMatch(
        new RegExp(`user_${i} +(on +redis|off +files).*UserData for user_${i}$`, 'm'),
      )
    }
    for (const step of ['50 -> 0 %', '0 -> 50 %', '50 -> 100 %', '100 -> 0 %']) {
      expect(text).toMatch(new RegExp(`${step} +\\d+ of 1000 +\\d+ ms`))
    }
    expect(text).toContain('all right')
    for (const line of text.split('\n')) expect(line.length).toBeLessThanOrEqual(80)
    expect(text).not.toContain('\u001B')
    expect(demo.stderr()).toBe('')
    expect(readdirSync(temporary)).toEqual([])
  })

  it('tells it to machines as one JSON document', async () => {
    const demo = runCli(['demo', '--json'])
    expect(await demo.ended).toBe(0)
    const story = JSON.parse(demo.stdout()) as DemoJson
    expect(story.ok).toBe(true)
    expect(story.seconds).toBeGreaterThan(0)
    expect(story.users).toHaveLength(5)
    for (const { user, side, value, first, again } of story.users) {
      expect(value).toBe(`UserData for ${user}`)
      expect(first).toMatchObject({ outcome: 'miss', servedBy: 'origin' })
      expect(again).toMatchObject({ outcome: 'hit', servedBy: side })
    }
    expect(story.steps.map(({ from, to }) => [from, to])).toEqual([
      [50, 0],
      [0, 50],
      [50, 100],
      [100, 0],
    ])
    const [none, half, all, back] = story.steps.map(({ on }) => on)
    expect([none, all, back]).toEqual([0, 1000, 0])
    expect(half).toBeGreaterThan(400)
    expect(half).toBeLessThan(600)
    for (const { lost, requests, failed, to, from } of story.steps) {
      expect(failed).toBe(0)
      expect(requests).toBeGreaterThan(0)
      if (to > from) expect(lost).toBe(0)
    }
  })
})
