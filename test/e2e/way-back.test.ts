import { cp, rename } from 'node:fs/promises'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { launchBrowser, openPage, textOf } from '../support/browser.ts'
import { type ControlProcess, startControlProcess } from '../support/control-process.ts'
import { until } from '../support/until.ts'
import { allAt, flagsAt, startWorld, type World } from './world.ts'

// Seven processes and a browser take their time on a busy machine.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 })

let world: World
let control: ControlProcess
let browser: Browser
/** Open from the first case to the last, as on somebody's second screen. */
let page: Page

beforeAll(async () => {
  world = await startWorld(100)
  control = await startControlProcess({
    args: ['--port', '0', '--guard', 'off', '--file', world.file, ...world.named],
  })
  browser = await launchBrowser()
  // Only its words are read: a small window costs less to draw, second by second.
  ;({ page } = await openPage(browser, control.url, { viewport: { width: 400, height: 200 } }))
})
afterAll(async () => {
  await browser?.close()
  await control?.kill()
  await world?.[Symbol.asyncDispose]()
})

/** All users of all applications are on the new side, wherever the case before left them. */
beforeEach(async () => {
  await world.save(flagsAt(100))
  await allAt(world, 100)
})

/** Everybody who can be asked says that all users are on the old side. */
async function allBack(): Promise<void> {
  await allAt(world, 0)
  for (const app of world.apps) {
    const ok = async (): Promise<boolean> => (await app.readyz()).status === 'ok'
    await until(`${app.mode} is ready`, ok)
  }
  await shows('#rollback', /all users are on the old side/)
  await shows('#headline', /^(?!.*NOT back)/)
}

/** The page as people see it, within what a busy machine takes. */
function shows(selector: string, pattern: RegExp): Promise<void> {
  const look = async (): Promise<boolean> => pattern.test(await textOf(page, selector))
  return until(`${selector} shows ${pattern}`, look)
}

/** A process on a busy machine may take longer than the five seconds of the command. */
async function back(
  timeout = '60',
): Promise<{ readonly code: number | null; readonly stdout: string }> {
  return world.run('rollback', '--timeout', timeout)
}

describe('rollback, and what everybody says of it', () => {
  test('an unrelated flag without a default was added', async () => {
    const more = `,
    "banner": {
      "state": "ENABLED",
      "variants": { "a": "A", "b": "B" },
      "targeting": { "if": [{ "==": [{ "var": "plan" }, "beta"] }, "a", "b"] }
    }`
    await world.save(flagsAt(100, more))
    const { code, stdout } = await back()
    expect(stdout).toMatch(/served {4}by flagd after [\d.,]+ ms; 3 of 3 processes after [\d.,]+ ms/)
    expect(code).toBe(0)
    await allBack()
  })

  test('one application refuses the file', async () => {
    const twice = flagsAt(100).replace('{\n  "flags"', '{\n  "note": 1,\n  "note": 2,\n  "flags"')
    await world.save(twice)
    await shows('#headline', /^Trouble: .* refuses the flags .*unique/)
    // The one that refuses is waited for to the end.
    const { code, stdout } = await back('8')
    expect(code).toBe(3)
    expect(stdout).toMatch(/back {6}NOT back yet \(the file is written\): flagd serves it; 2 of 3 /)
    expect(stdout).toMatch(
      /lagging {3}127[.\d:]+ still on the old split at 100 %: it refuses .*unique/,
    )
    const [rpc, inProcess, file] = world.apps
    expect(await rpc?.onNow()).toBe(0)
    expect(await inProcess?.onNow()).toBe(0)
    expect(await file?.onNow()).toBe(100)
    expect(await file?.readyz()).toMatchObject({
      status: 'degraded',
      checks: { flags: { ok: false } },
    })
    await shows('#headline', /^Trouble: NOT back yet: .*refuses the flags/)
    expect(await textOf(page, '#rollback')).not.toMatch(/all users/)
    await world.save((await world.text()).replace('  "note": 1,\n  "note": 2,\n', ''))
    expect((await back()).code).toBe(0)
    await allBack()
  })

  test('a backup with an older time was moved back', async () => {
    await world.run('rollback')
    await allAt(world, 0)
    await cp(world.file, `${world.file}.bak`, { preserveTimestamps: true })
    await world.run('set', '100', '--yes')
    await allAt(world, 100)
    await rename(`${world.file}.bak`, world.file)
    const { code, stdout } = await back()
    expect(stdout).toMatch(/3 of 3 processes/)
    expect(code).toBe(0)
    await allBack()
  })

  test('the entries were swapped by hand', async () => {
    await world.save(flagsAt(50).replace('["on", 50], ["off", 50]', '["off", 50], ["on", 50]'))
    const { code, stdout } = await back()
    expect(stdout).toMatch(/3 of 3 processes after/)
    expect(code).toBe(0)
    await allBack()
  })

  test('the watch of flagd is dead: named with the cause, beside who follows it', async () => {
    await using dead = await world.withDeadWatch()
    const { app, run } = dead
    await until('its users are on the new side', async () => (await app.onNow()) === 100)
    const { code, stdout } = await run('rollback', '--timeout', '3')
    expect(code).toBe(3)
    expect(stdout).toMatch(
      /NOT back yet \(the file is written\): flagd still serves the old split; /,
    )
    expect(stdout).toContain(`lagging   ${new URL(app.url).host} still on the old split at 100 %`)
    expect(stdout).toMatch(/next {6}its file watch .*restart flagd.*the single file is mounted/)
    expect(await app.onNow()).toBe(100)
    expect((await back()).code).toBe(0)
  })

  test('an application is stopped: named, and waited for no longer than it takes to tell', async () => {
    const [, stopped] = world.apps
    stopped?.freeze()
    try {
      const { code, stdout } = await back('3600')
      expect(code).toBe(3)
      expect(stdout).toMatch(
        /NOT back yet \(the file is written\): flagd serves it; [0-2] of 3 processes/,
      )
      expect(stdout).toContain(`lagging   ${new URL(stopped!.url).host} does not answer`)
      expect(stdout).toMatch(/next {6}a process that does not answer keeps its side/)
    } finally {
      stopped?.thaw()
    }
    expect((await back()).code).toBe(0)
    await allBack()
  })

  test('flagd hangs: named at once, on the page too, until it goes on', async () => {
    world.flagd.freeze()
    try {
      await page.click('#rollback')
      await shows('#back-result', /NOT back yet\s*flagd does not answer.* % of operations/)
      expect(await page.locator('#back-result').getAttribute('data-outcome')).toBe('failed')
      await shows('#headline', /^Trouble: NOT back yet: flagd does not answer/)
      const { code, stdout } = await back()
      expect(code).toBe(3)
      expect(stdout).toMatch(/NOT back yet .*flagd does not answer .*; 1 of 3 processes decide it/)
      expect(await world.apps[1]?.onNow()).toBe(100)
      expect(await world.apps[2]?.onNow()).toBe(0)
    } finally {
      world.flagd.thaw()
    }
    expect((await back()).code).toBe(0)
    await shows('#back-result', /^Back/)
    await allBack()
  })

  // The last: nobody starts it again.
  test('flagd is gone: who is still on the new side is named', async () => {
    await world.flagd.kill()
    const { code, stdout } = await back()
    expect(code).toBe(3)
    expect(stdout).toMatch(/NOT back yet .*flagd does not answer .*; 1 of 3 processes decide it/)
    expect(stdout).toMatch(/lagging {3}127[.\d:]+ still on the old split at 100 %/)
    expect(stdout).toMatch(
      /next {6}a process that is restarted while no flagd answers begins on the old side$/m,
    )
    await shows('#headline', /^Trouble: NOT back yet: flagd does not answer; 2 of 3 processes/)
    expect(await textOf(page, '#rollback')).not.toMatch(/all users/)
    expect(await world.apps[1]?.readyz()).toMatchObject({ checks: { flags: { ok: false } } })
  })
})
