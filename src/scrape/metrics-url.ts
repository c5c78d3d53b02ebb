import { quote, SwitchbackError } from '../errors.ts'

/**
 * Where metrics are read: http or https.
 *
 * @throws {SwitchbackError} `SB_METRICS_URL_INVALID`
 */
export function metricsUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return url
  throw new SwitchbackError('SB_METRICS_URL_INVALID', `${quote(text)} is not a metrics URL`, {
    hint: 'write it as a URL, e.g. http://127.0.0.1:3002/metrics',
  })
}
