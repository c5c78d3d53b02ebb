import type { Logger } from '@openfeature/server-sdk'
import type { OnFlagsEvent } from './events.ts'

/**
 * flagd's provider logs an error at each attempt to reconnect (171 in a 90 s outage), all of which the
 * changes of state tell in two lines. Its warnings are about flags, and are told once each.
 */
export function quietLogger(onEvent: OnFlagsEvent): Logger {
  const told = new Set<string>()
  return {
    error() {},
    warn(...parts: unknown[]) {
      const message = `flags: ${parts.map(String).join(' ')}`
      if (told.has(message) || told.size >= 100) return
      told.add(message)
      onEvent({ level: 'warn', message })
    },
    info() {},
    debug() {},
  }
}
