import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { FastifyInstance } from 'fastify'
import { SwitchbackError } from '../../errors.ts'
import { html } from '../page/html.ts'
import { icon } from '../page/icon.ts'
import { styles } from '../page/styles.ts'

interface Asset {
  readonly type: string
  readonly content: Buffer
  readonly tag: string
}

const SCRIPT = 'text/javascript; charset=utf-8'
const STYLE = 'text/css; charset=utf-8'

/**
 * The page and everything that it loads, read once at the start: what a request asks for is looked up
 * in a table and never becomes a path.
 *
 * @param page the directory of the page's compiled scripts
 * @throws {SwitchbackError} `SB_CONTROL_PAGE` when they are not there.
 */
export async function loadAssets(page: string): Promise<ReadonlyMap<string, Asset>> {
  const uplot = dirname(createRequire(import.meta.url).resolve('uplot'))
  const [uplotScript, uplotStyle, scripts] = await Promise.all([
    readFile(join(uplot, 'uPlot.iife.min.js')),
    readFile(join(uplot, 'uPlot.min.css')),
    readScripts(page),
  ])
  return new Map([
    ['/', asset('text/html; charset=utf-8', html)],
    ['/assets/icon.svg', asset('image/svg+xml', icon)],
    ['/assets/styles.css', asset(STYLE, styles)],
    ['/assets/uplot.css', asset(STYLE, uplotStyle)],
    ['/assets/uplot.js', asset(SCRIPT, uplotScript)],
    ...scripts.map(([name, text]) => [`/assets/page/${name}`, asset(SCRIPT, text)] as const),
  ])
}

export function serveAssets(app: FastifyInstance, assets: ReadonlyMap<string, Asset>): void {
  for (const [url, { type, content, tag }] of assets) {
    app.get(url, (request, reply) => {
      reply.header('cache-control', 'no-cache').header('etag', tag)
      if (request.headers['if-none-match'] === tag) return reply.code(304).send()
      return reply.header('content-type', type).send(content)
    })
  }
}

/** Beside this module, where the build puts them. */
export const builtPage: string = fileURLToPath(new URL('../page', import.meta.url))

async function readScripts(page: string): Promise<[name: string, text: Buffer][]> {
  const names = (await readdir(page).catch(() => [])).filter((name) => name.endsWith('.js'))
  if (!names.includes('main.js')) {
    throw new SwitchbackError('SB_CONTROL_PAGE', `the page's scripts are not in ${page}`, {
      hint: 'build them first: npm run build',
    })
  }
  return Promise.all(
    names.map(async (name) => [name, await readFile(join(page, name))] as const),
  ).then((scripts) => scripts.map(([name, text]) => [name, text]))
}

function asset(type: string, content: string | Buffer): Asset {
  const bytes = Buffer.from(content)
  const tag = `"${createHash('sha256').update(bytes).digest('base64url').slice(0, 22)}"`
  return { type, content: bytes, tag }
}
