import { createServer, type Server } from 'node:http'

export interface MetricsListenerOptions {
  /** Renders the metrics for each scrape. */
  readonly render: () => string
  readonly contentType: string
}

/** `/metrics` on its own listener, for operators only and not on the port that users reach. */
export function createMetricsListener(options: MetricsListenerOptions): Server {
  return createServer((request, response) => {
    const path = (request.url ?? '').split('?', 1)[0]
    request.resume()
    if (path !== '/metrics') {
      response.writeHead(404, { 'content-type': 'text/plain' }).end('see /metrics\n')
      return
    }
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.writeHead(405, { allow: 'GET, HEAD' }).end()
      return
    }
    try {
      const text = options.render()
      response.writeHead(200, { 'content-type': options.contentType }).end(text)
    } catch {
      response.writeHead(500, { 'content-type': 'text/plain' }).end('cannot render\n')
    }
  })
}
