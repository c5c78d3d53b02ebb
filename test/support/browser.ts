import {
  type Browser,
  type BrowserContextOptions,
  chromium as driver,
  type Page,
} from 'playwright-core'
import { chromium, locateProgram } from '../../src/cli/provision/index.ts'
import { HUNG_MS, until } from './until.ts'

/** Debian's Chromium, told not to talk to anybody but the page. */
export function launchBrowser(): Promise<Browser> {
  const executablePath = locateProgram(chromium, process.env)
  if (executablePath === undefined) throw new Error('no Chromium')
  return driver.launch({
    executablePath,
    headless: true,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  })
}

/** A page in a context of its own, with everything that it complained about. */
export interface WatchedPage extends AsyncDisposable {
  readonly page: Page
  readonly complaints: string[]
}

export async function openPage(
  browser: Browser,
  url: string,
  options: BrowserContextOptions = {},
): Promise<WatchedPage> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, ...options })
  context.setDefaultTimeout(HUNG_MS)
  const page = await context.newPage()
  const complaints: string[] = []
  page.on('pageerror', (error) => complaints.push(String(error)))
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text())
  })
  page.on('request', (request) => {
    if (!request.url().startsWith(url)) complaints.push(`asks ${request.url()}`)
  })
  await page.goto(url)
  await page.waitForSelector('body[data-live=live]')
  return { page, complaints, [Symbol.asyncDispose]: () => context.close() }
}

export function textOf(page: Page, selector: string): Promise<string> {
  return page.locator(selector).first().innerText()
}

/** Waits until it shows that; fails with what it shows instead. */
export async function shows(page: Page, selector: string, pattern: RegExp): Promise<void> {
  let text = ''
  const look = async (): Promise<boolean> => pattern.test((text = await textOf(page, selector)))
  await until(`${selector} shows ${pattern}`, look).catch((cause: unknown) => {
    throw new Error(`${String(cause)}; it shows ${JSON.stringify(text)}`, { cause })
  })
}
