import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { FastifyInstance } from 'fastify'
import { SwitchbackError } from '../../errors.ts'
import { packageRoot } from '../../package-root.ts'
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
 * The page and everything that it loads, read once at the start: a request is looked up in a table
 * and never becomes a path.
 *
 * @param page the directory of the page's script and of the library that draws its charts
 * @throws {SwitchbackError} `SB_CONTROL_PAGE` when they are missing.
 */
export async function loadAssets(page: string): Promise<ReadonlyMap<string, Asset>> {
  const [script, plot, plotStyle] = await Promise.all([
    read(page, 'main.js'),
    read(page, 'uplot.js'),
    read(page, 'uplot.css'),
  ])
  return new Map([
    ['/', asset('text/html; charset=utf-8', html)],
    ['/assets/icon.svg', asset('image/svg+xml', icon)],
    ['/assets/styles.css', asset(STYLE, styles)],
    ['/assets/uplot.css', asset(STYLE, plotStyle)],
    ['/assets/uplot.js', asset(SCRIPT, plot)],
    ['/assets/page/main.js', asset(SCRIPT, script)],
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

/** Where the build puts them. */
export const builtPage: string = fileURLToPath(new URL('dist/cli/page', packageRoot()))

async function read(page: string, name: string): Promise<Buffer> {
  try {
    return await readFile(join(page, name))
  } catch (cause) {
    throw new SwitchbackError('SB_CONTROL_PAGE', `${name} of the page is not in ${page}`, {
      hint: 'in a clone run npm run build; otherwise install the package again',
      cause,
    })
  }
}

function asset(type: string, content: string | Buffer): Asset {
  const bytes = Buffer.from(content)
  const tag = `"${createHash('sha256').update(bytes).digest('base64url').slice(0, 22)}"`
  return { type, content: bytes, tag }
}
