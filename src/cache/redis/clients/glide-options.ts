import {
  CONNECT_REMEDY_MS,
  type ClientFinding,
  LONGEST_CONNECT_TIMEOUT_MS,
} from '../connection/check-client.ts'
import { glideConfigOf, type GlideClient } from './glide.ts'

const LONGEST_REQUEST_MS = 1000

/** Reads and writes go to the primary whatever `readFrom` says, and past a client side cache. */
export function findingsOfGlide(client: GlideClient): readonly ClientFinding[] {
  const { requestTimeout, advancedConfiguration, readOnly } = glideConfigOf(client)
  const findings: ClientFinding[] = []
  // While it is disconnected, a command waits for the connection for so long.
  if (Number(requestTimeout ?? 0) > LONGEST_REQUEST_MS) {
    findings.push([
      `commands wait ${requestTimeout} ms while disconnected`,
      '`requestTimeout: 250`',
    ])
  }
  if (Number(advancedConfiguration?.connectionTimeout ?? 0) > LONGEST_CONNECT_TIMEOUT_MS) {
    findings.push([
      'a lost packet can stop a reconnect for seconds',
      `\`advancedConfiguration.connectionTimeout: ${CONNECT_REMEDY_MS}\``,
    ])
  }
  if (readOnly === true) {
    findings.push(['`readOnly: true` reads stale values and cannot write', '`readOnly: false`'])
  }
  return findings
}
