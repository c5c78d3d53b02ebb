import { notFound, send } from './http.ts'
import type { HttpHandler } from './http.ts'
import type { SidecarMetrics } from '../sidecar-metrics.ts'
import { requestPath } from './request-path.ts'

/** `/healthz`, `/readyz` and `/metrics`. The sidecar listens only once it is ready, so both are 200. */
export function managementHandler(metrics: SidecarMetrics): HttpHandler {
  return (request, response) => {
    const target = requestPath(request.url ?? '')
    switch (target.kind === 'path' ? target.path : '') {
      case '/healthz':
      case '/readyz':
        return send(response, 200, '')
      case '/metrics':
        return send(response, 200, metrics.render(), {
          'content-type': 'text/plain; version=0.0.4; charset=utf-8',
        })
      default:
        return notFound(response)
    }
  }
}
