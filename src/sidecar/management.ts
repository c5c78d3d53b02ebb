import { refuse, send } from './http.ts'
import type { HttpHandler } from './http.ts'
import type { SidecarMetrics } from './metrics.ts'

/** `/healthz`, `/readyz` and `/metrics`. The sidecar listens only once it is ready, so both are 200. */
export function managementHandler(metrics: SidecarMetrics): HttpHandler {
  return (request, response) => {
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      return refuse(response, 405, { errorDetails: 'use GET' })
    }
    switch ((request.url ?? '').split('?', 1)[0]) {
      case '/healthz':
      case '/readyz':
        return send(response, 200, '')
      case '/metrics':
        return send(response, 200, metrics.render(), {
          'content-type': 'text/plain; version=0.0.4; charset=utf-8',
        })
      default:
        return refuse(response, 404, { errorDetails: 'not found' })
    }
  }
}
