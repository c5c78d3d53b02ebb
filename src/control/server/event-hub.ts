import type { ServerResponse } from 'node:http'
import { SwitchbackError } from '../../errors.ts'

/** More pages than this at a time are refused. */
const MOST_CLIENTS = 64
/** A page that does not read for this long a backlog is disconnected; it reconnects by itself. */
const MOST_BACKLOG = 1_048_576

/**
 * Server-sent events to all open pages.
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html
 */
export class EventHub {
  readonly #clients = new Set<ServerResponse>()

  get size(): number {
    return this.#clients.size
  }

  /** @throws {SwitchbackError} `SB_CONTROL_BUSY` */
  checkRoom(): void {
    if (this.#clients.size < MOST_CLIENTS) return
    throw new SwitchbackError('SB_CONTROL_BUSY', `${MOST_CLIENTS} pages are open already`, {
      hint: 'close some of them; the API still answers',
    })
  }

  /** Takes over a response whose headers were set. */
  add(response: ServerResponse, first: readonly (readonly [event: string, data: unknown])[]): void {
    response.socket?.setNoDelay(true)
    response.on('close', () => this.#clients.delete(response))
    response.on('error', () => this.#clients.delete(response))
    this.#clients.add(response)
    response.write(`retry: 1000\n\n${first.map(([event, data]) => frame(event, data)).join('')}`)
  }

  send(event: string, data: unknown): void {
    if (this.#clients.size === 0) return
    const text = frame(event, data)
    for (const client of this.#clients) {
      if (client.writableLength > MOST_BACKLOG) client.destroy()
      else client.write(text)
    }
  }

  close(): void {
    for (const client of this.#clients) client.end()
    this.#clients.clear()
  }
}

function frame(event: string, data: unknown): string {
  return `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`
}
