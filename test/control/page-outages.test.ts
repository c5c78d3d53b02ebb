import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { launchBrowser, openPage, shows, textOf } from '../support/browser.ts'
import { type ControlApp, startControlApp } from '../support/control-app.ts'
import { startControlProcess } from '../support/control-process.ts'
import { flagsFile, shareIn, startRoom, until } from '../support/control-room.ts'

let browser: Browser
let app: ControlApp

beforeAll(async () => {
  app = await startControlApp()
  browser = await launchBrowser()
})
afterAll(async () => {
  await browser?.close()
  await app?.[Symbol.asyncDispose]()
})

test('the token wall: asked for, wrong, right; the rollback goes on by itself', async () => {
  const token = 'correct-horse-battery-staple'
  await using walled = await startRoom({ token, share: 30 })
  await using opened = await openPage(browser, walled.url)
  const { page } = opened
  await page.click('#rollback')
  await page.fill('#token input', 'wrong-horse-battery-staple')
  await page.click('#token button[type=submit]')
  await shows(page, '#token', /This token is wrong/)
  expect(await shareIn(walled.file)).toBe(30)
  await page.fill('#token input', token)
  await page.keyboard.press('Enter')
  await shows(page, '#back-result', /Back: served after [\d,]+ ms/)
  expect(await shareIn(walled.file)).toBe(0)
  // Kept for the tab, and nowhere else.
  expect(
    await page.evaluate(() => JSON.stringify([{ ...localStorage }, document.cookie])),
  ).not.toContain(token)
})

test('flagd down: the page says that the file is written and nothing is confirmed', async () => {
  await using burning = await startRoom({ share: 30 })
  await using opened = await openPage(browser, burning.url)
  const { page } = opened
  await burning.stopFlagd()
  await page.click('#rollback')
  await shows(page, '#back-result', /NOT back yet\s*flagd does not answer/)
  expect(await shareIn(burning.file)).toBe(0)
})

test('the server dies and comes back: the page says so, names the other way, and goes on', async () => {
  const flags = await flagsFile(20)
  const start = (port: string) =>
    startControlProcess({
      args: ['--port', port, '--file', flags.file, '--no-flagd', '--metrics', app.url],
    })
  app.follows = flags.file
  let control = await start('0')
  try {
    await using opened = await openPage(browser, control.url)
    const { page, complaints } = opened
    await shows(page, '#about', /use-redis\.json/)
    await until('points were drawn', async () =>
      /new \d/.test(await textOf(page, '#charts .chart:nth-child(4)')),
    )
    await control.kill()
    await page.waitForSelector('body[data-live=lost]')
    await shows(page, '#live', /numbers are outdated/)
    await page.click('#rollback')
    await shows(
      page,
      '#back-result',
      /switchback rollback --file .*use-redis\.json --flag use-redis/,
    )
    expect(await shareIn(flags.file)).toBe(20)

    control = await start(new URL(control.url).port)
    await page.waitForSelector('body[data-live=live]')
    await shows(page, '#guard', /baseline|no metrics yet|evidence/)
    await page.click('#rollback')
    await shows(page, '#back-result', /Back\.\s*1 of 1 processes confirm it after [\d,]+ ms/)
    expect(await shareIn(flags.file)).toBe(0)
    expect(
      complaints.filter((text) => !/ERR_CONNECTION_REFUSED|ERR_INCOMPLETE|ERR_/.test(text)),
    ).toEqual([])
    const line = control.errors.find((text) => text.includes('/api/rollback')) ?? ''
    expect(JSON.parse(line)).toMatchObject({
      action: '/api/rollback',
      outcome: 'done',
      from: '127.0.0.1',
    })
    expect(await control.stop()).toBe(0)
  } finally {
    await control.kill()
    await flags.remove()
  }
})
