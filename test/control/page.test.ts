import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { GuardOrder, GuardReading } from '../../src/control/index.ts'
import { launchBrowser, openPage, shows, textOf } from '../support/browser.ts'
import { type ControlApp, startControlApp } from '../support/control-app.ts'
import { deferred } from '../support/deferred.ts'
import { shareIn, startRoom, type TestRoom, until } from '../support/control-room.ts'
import { inFull } from '../support/full.ts'

let browser: Browser
let app: ControlApp
let room: TestRoom
let guard: GuardReading
const approved: number[] = []
const orders: GuardOrder[] = []

const quiet: GuardReading = {
  mode: 'acting',
  answer: 'undecided',
  sentence: 'at 10 %, next 25 %: evidence is still being gathered',
  metrics: [
    {
      id: 'failed',
      harm: { logEvidence: 0.2, logThreshold: Math.log(300) },
      safety: { logEvidence: Math.log(14), logThreshold: Math.log(20) },
      treatment: { bad: 12, total: 10_000 },
      control: { bad: 110, total: 100_000 },
      heldBack: '',
    },
  ],
  plan: { steps: [1, 5, 10, 25, 50, 100], heldS: 95, minHoldS: 60 },
  waits: ['failed 12 of 10000: about 110 more operations', 'degraded 0 of 10000: 2 to 4 min'],
  lateMs: 25,
  incidents: [
    { at: Date.UTC(2026, 0, 1, 14, 3, 12), sentence: '32 operations degraded within 1 s' },
  ],
  epoch: 1,
  alarms: [],
  at: Date.now(),
}

beforeAll(async () => {
  app = await startControlApp()
  guard = quiet
  room = await startRoom({
    replicas: [app.url],
    guard: {
      read: () => ({ ...guard, at: Date.now() }),
      approve: (percent) => void approved.push(percent),
      order: (order) => void orders.push(order),
    },
  })
  app.follows = room.file
  browser = await launchBrowser()
})
afterAll(async () => {
  await browser?.close()
  await room?.[Symbol.asyncDispose]()
  await app?.[Symbol.asyncDispose]()
})

/** Sets the share by the buttons and the dialog, as a person does. */
async function setShare(page: Page, share: number): Promise<void> {
  await page.click(`button[data-step="${share}"]`)
  await shows(page, '#review', new RegExp(`^Review .* → ${share} %$`))
  await page.click('#review')
  await page.click('#agree')
  await shows(page, '#split .outcome', /flagd serves it, after [\d,]+ ms; 1 of 1 process/)
}

describe('the page in Chromium', () => {
  test('lives: numbers move, lines are drawn, nothing is asked of anybody else', async () => {
    await using opened = await openPage(browser, room.url)
    const { page, complaints } = opened
    await shows(page, '#headline', /^Healthy: both sides answer/)
    const operations = '#sides tbody tr:first-child td:nth-child(3)'
    const first = await textOf(page, operations)
    expect(Number(first)).toBeGreaterThan(50)
    await until('the number moves', async () => (await textOf(page, operations)) !== first)
    expect(await page.locator('#charts canvas').count()).toBe(6)
    // The last seconds of a chart hold ink: a canvas that draws nothing is all transparent.
    await until('something is drawn', () =>
      page.evaluate(() =>
        [...document.querySelectorAll<HTMLCanvasElement>('#charts canvas')].every((canvas) => {
          const { width, height } = canvas
          const { data } = canvas.getContext('2d')!.getImageData(0, 0, width, height)
          const blue = data.filter((_, i) => i % 4 === 2 && data[i]! > data[i - 2]! + 100)
          return blue.length > 4
        }),
      ),
    )
    expect(await textOf(page, '#share-on')).toBe('10 % new side')
    await shows(page, '#serving .facts', /✓ flagd serves it/)
    // Of reading the canvas in this test.
    expect(complaints.filter((text) => !text.includes('willReadFrequently'))).toEqual([])
  })

  test('slider, preview, diff, confirm, and back in one click with milliseconds', async () => {
    await using opened = await openPage(browser, room.url)
    const { page, complaints } = opened
    await page.locator('#split input[type=range]').fill('25')
    await shows(page, '#split .preview', /^1,\d{3} of 10,000 sample users join, nobody leaves$/)
    await page.click('#review')
    expect(await textOf(page, '#confirm-title')).toBe('Change the share from 10 % to 25 %?')
    expect(await textOf(page, '.diff .del')).toContain('["on", 10]')
    expect(await textOf(page, '.diff .add')).toContain('["on", 25]')
    expect(await shareIn(room.file)).toBe(10)
    await page.keyboard.press('Escape')
    expect(await shareIn(room.file)).toBe(10)

    await page.click('#review')
    await page.fill('input[name=who]', 'Ann')
    await page.fill('input[name=reason]', 'safe since Monday')
    await page.click('#agree')
    await shows(page, '#split .outcome', /10 % → 25 %: flagd serves it, after [\d,]+ ms/)
    expect(await shareIn(room.file)).toBe(25)
    await shows(page, '#last', /10 % → 25 %\s[^]*by Ann: safe since Monday/)
    await shows(page, '#history li', /Ann, control, from 127\.0\.0\.1: safe since Monday/)
    await shows(page, '#share-on', /^25 % new side$/)

    await page.click('#rollback')
    await shows(
      page,
      '#back-result',
      /Back: served after [\d,]+ ms\.\s.*probe users was back after [\d,]+ ms/,
    )
    expect(await shareIn(room.file)).toBe(0)
    await shows(page, '#rollback', /all users are on the old side/)
    await shows(page, '#last', /Rolled back: 25 % → 0 %/)
    await page.click('text=Undo this change')
    await until('undone', async () => (await shareIn(room.file)) === 25)
    // Nobody reads any more that all users are back.
    await page.waitForSelector('#back-result', { state: 'hidden' })
    await setShare(page, 10)
    expect(complaints).toEqual([])
  })

  test('by keyboard alone: the first stop is the way back; the slider, the dialog, and out of it', async () => {
    await using opened = await openPage(browser, room.url)
    const { page } = opened
    const { keyboard } = page
    const focused = (): Promise<string> =>
      page.evaluate(
        () => document.activeElement?.id || document.activeElement?.getAttribute('type') || '',
      )
    await keyboard.press('Tab')
    expect(await focused()).toBe('rollback')
    const outline = await page.evaluate(
      () => getComputedStyle(document.activeElement!).outlineStyle,
    )
    expect(outline).toBe('solid')
    for (let i = 0; i < 12 && (await focused()) !== 'range'; i++) await keyboard.press('Tab')
    expect(await focused()).toBe('range')
    for (let i = 0; i < 5; i++) await keyboard.press('ArrowRight')
    await shows(page, '#review', /Review 10 % → 15 %/)
    for (let i = 0; i < 12 && (await focused()) !== 'review'; i++) await keyboard.press('Tab')
    await keyboard.press('Enter')
    await page.waitForSelector('#confirm[open]')
    expect(await focused()).toBe('agree')
    await keyboard.press('Escape')
    await page.waitForSelector('#confirm:not([open])', { state: 'attached' })
    expect(await focused()).toBe('review')
    await keyboard.press('Enter')
    await page.waitForSelector('#confirm[open]')
    await keyboard.press('Enter')
    // The file has the new share before the page knows it: the page's word is what to wait for.
    await shows(page, '#split .outcome', /10 % → 15 %: flagd serves it/)
    expect(await shareIn(room.file)).toBe(15)
    await page.locator('#rollback').focus()
    await keyboard.press('Enter')
    await shows(page, '#back-result', /Back: served/)
    expect(await shareIn(room.file)).toBe(0)
    await shows(page, '#share-on', /^0 % new side$/)
    await setShare(page, 10)
  })

  test('an answer that comes late takes nothing back of what was chosen since', async () => {
    await using opened = await openPage(browser, room.url)
    const { page } = opened
    const written = deferred<void>()
    const release = deferred<void>()
    await page.route('**/api/share', async (route) => {
      const response = await route.fetch()
      written.resolve()
      await release.promise
      await route.fulfill({ response })
    })
    await page.click('button[data-step="25"]')
    await page.click('#review:not([disabled])')
    await page.click('#agree')
    await written.promise
    await shows(page, '#share-on', /^25 % new side$/)
    await page.click('#rollback')
    await shows(page, '#share-on', /^0 % new side$/)
    await page.click('button[data-step="10"]')
    await shows(page, '#review', /^Review 0 % → 10 %$/)
    release.resolve()
    await shows(page, '#split .outcome', /10 % → 25 %: flagd serves it/)
    expect(await textOf(page, '#review')).toBe('Review 0 % → 10 %')
    await page.unroute('**/api/share')
    await setShare(page, 10)
  })

  test('a review that was asked for while somebody else changes the share speaks of the new one', async () => {
    await using opened = await openPage(browser, room.url)
    const { page } = opened
    const asked = deferred<void>()
    const release = deferred<void>()
    await page.route('**/api/preview', async (route) => {
      asked.resolve()
      await release.promise
      await route.continue()
    })
    await page.click('button[data-step="50"]')
    await page.click('#review')
    await asked.promise
    await room.post('/api/share', { share: 25 })
    await shows(page, '#review', /^Review 25 % → 50 %$/)
    release.resolve()
    await shows(page, '#confirm-title', /^Change the share from 25 % to 50 %\?$/)
    await page.keyboard.press('Escape')
    await page.unroute('**/api/preview')
    await page.reload()
    await setShare(page, 10)
  })

  test('the guard says what it waits for, and which incidents were survived', async () => {
    guard = quiet
    await using opened = await openPage(browser, room.url)
    const { page } = opened
    await shows(page, '#guard', /about 110 more operations.*degraded 0 of 10000: 2 to 4 min/su)
    await shows(page, '#guard', /incident: 32 operations degraded within 1 s/u)
    guard = { ...quiet, elsewhere: 'guard of ann@host' }
    await shows(page, '#guard', /^guard of ann@host acts: at 10 %/u)
    guard = quiet
  })

  test('a screen reader is told what the pictures show', async () => {
    await using opened = await openPage(browser, room.url)
    const { page } = opened
    expect(await page.locator('.splitbar').getAttribute('aria-label')).toBe(
      '10 % of the users are routed to the new side, the others to the old side',
    )
    expect(await page.locator('.track').first().getAttribute('aria-label')).toBe(
      'Failed for the caller: evidence that widening is safe 14 : 1, needs 20 : 1; evidence that the new side is worse 1.2 : 1, rolls back at 300 : 1',
    )
    const labels = await page
      .locator('#charts [role=img]')
      .evaluateAll((charts) => charts.map((chart) => chart.getAttribute('aria-label')))
    expect(labels).toHaveLength(6)
    for (const label of labels) expect(label).toMatch(/now (new|set) .*, (old|seen) /)
    const unnamed = await page.evaluate(() =>
      [...document.querySelectorAll('button, input, section, dialog, [role=img]')]
        .filter((element) => {
          const labelled = element.getAttribute('aria-labelledby')
          const named =
            element.getAttribute('aria-label') ||
            (labelled !== null &&
              element.tagName !== 'DIALOG' &&
              document.getElementById(labelled)) ||
            element.tagName === 'DIALOG' ||
            element.textContent ||
            element.closest('label')
          return !named
        })
        .map((element) => element.outerHTML),
    )
    expect(unnamed).toEqual([])
  })

  const looks = [
    ['light', 360],
    ['dark', 1280],
  ] as const
  test.each(
    inFull<readonly (readonly ['light' | 'dark', number])[]>(looks, [...looks, ['light', 1280]]),
  )('is legible, and fits: %s, %d wide', async (colorScheme, width) => {
    guard = {
      ...quiet,
      answer: 'regressed',
      sentence: 'worse than tolerated',
      alarms: ['an alarm'],
    }
    await using opened = await openPage(browser, room.url, {
      colorScheme,
      viewport: { width, height: 740 },
    })
    const { page } = opened
    await page.waitForSelector('body[data-level=trouble]')
    const faint = await page.evaluate(() => {
      const luminance = (color: string): number => {
        const [r = 0, g = 0, b = 0] = (color.match(/[\d.]+/g) ?? []).map((part) => {
          const c = Number(part) / 255
          return c <= 0.039_28 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4
        })
        return 0.2126 * r + 0.7152 * g + 0.0722 * b
      }
      const ground = (element: Element | null): string => {
        for (let e = element; e !== null; e = e.parentElement) {
          const { backgroundColor } = getComputedStyle(e)
          if (!/rgba\(.*, 0\)|transparent/.test(backgroundColor)) return backgroundColor
        }
        return 'rgb(255,255,255)'
      }
      const found: string[] = []
      for (const element of document.querySelectorAll(
        'h1, h2, p, b, small, span, td, th, dd, dt, li, button',
      )) {
        const own = [...element.childNodes].some(
          (node) => node.nodeType === 3 && node.textContent!.trim() !== '',
        )
        if (
          !own ||
          (element as HTMLButtonElement).disabled ||
          element.closest('[hidden], .sr') !== null
        )
          continue
        const [a, b] = [luminance(getComputedStyle(element).color), luminance(ground(element))]
        const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)
        if (contrast < 4.5) found.push(`${contrast.toFixed(2)} ${element.outerHTML.slice(0, 120)}`)
      }
      return found
    })
    expect(faint).toEqual([])
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
    expect(overflow).toBeLessThanOrEqual(0)
    await page.evaluate(() => scrollTo(0, document.body.scrollHeight))
    const box = (await page.locator('#rollback').boundingBox())!
    expect(box.y).toBeGreaterThanOrEqual(0)
    expect(box.y + box.height).toBeLessThanOrEqual(740)
    expect(box.height).toBeGreaterThanOrEqual(44)
    expect(await page.locator('.scale').innerText()).toMatch(
      /20 : 1\s+safe to widen[^]*300 : 1\s+roll back/,
    )
    guard = quiet
  })

  test('the guard asks: one click approves', async () => {
    guard = { ...quiet, awaiting: 25 }
    await using opened = await openPage(browser, room.url)
    const { page } = opened
    await page.click('#approve')
    await shows(page, '#guard .actions', /Approved/)
    expect(approved).toEqual([25])
    guard = quiet
    await page.waitForSelector('#approve', { state: 'hidden' })
  })

  test('a guard that has stopped is resumed by a button, after a question', async () => {
    guard = { ...quiet, mode: 'stopped', sentence: 'rolled back, all users are on the old side' }
    await using opened = await openPage(browser, room.url)
    const { page } = opened
    await page.click('#resume')
    await shows(
      page,
      '#confirm',
      /act again\?[^]*rolled back, all users[^]*first step of the plan, 1 %/,
    )
    await page.click('#confirm button:has-text("Cancel")')
    expect(orders).toEqual([])
    await page.click('#resume')
    await page.click('#agree')
    await shows(page, '#guard .actions', /It begins again at its next look/)
    expect(orders).toEqual([{ kind: 'resume', who: 'ann@test' }])
    guard = { ...quiet, ended: ['replica-disagrees: app-1 fails (over: 14:03:12 to 14:05:00 UTC)'] }
    await page.waitForSelector('#resume', { state: 'hidden' })
    await shows(page, '#ended-alarms', /^replica-disagrees: .* \(over: 14:03:12 to 14:05:00 UTC\)$/)
    guard = quiet
  })

  test('trouble is seen: the sentence, the colour, the numbers', async () => {
    await using opened = await openPage(browser, room.url)
    const { page } = opened
    const { on } = app.arms
    app.arms.on = { ...on, bad: 0.3 }
    app.telemetry.event('on', 'breaker_opened')
    await page.waitForSelector('body[data-level=trouble]')
    await shows(page, '#headline', /^Trouble: The new side is out.*: breaker open on one replica/)
    await shows(page, '#findings', /operations on the new side fail/)
    await page.waitForSelector('#sides td[data-alarm=true]')
    app.telemetry.event('on', 'breaker_closed')
    app.arms.on = on
  })
})
