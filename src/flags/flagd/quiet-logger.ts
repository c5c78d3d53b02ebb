import type { Logger } from '@openfeature/server-sdk'
import type { OnFlagsEvent } from '../flags-event.ts'

/**
 * flagd's provider logs an error per reconnect attempt (171 in a 90 s outage), which our two state
 * changes report already. Its warnings are about flags, and each is logged once.
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
