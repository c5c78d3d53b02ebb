import { ProviderEvents } from '@openfeature/server-sdk'
import { quote } from '../errors.ts'
import { clientOf } from './openfeature-client.ts'
import type { ClientChoice } from './openfeature-client.ts'
import { evaluateString } from './decide/provider-evaluation.ts'
import { safely } from './flags-event.ts'
import type { OnFlagsEvent } from './flags-event.ts'

export interface StringFlagOptions<T extends string> extends ClientChoice {
  readonly flag: string
  /** The valid values; another one changes nothing and is reported. */
  readonly allowed: readonly T[]
  /** In force until the first answer, and when there is no such flag. */
  readonly fallback: T
  /** Milliseconds between two looks at the flag while its provider announces no change. @default 1000 */
  readonly rememberMs?: number
  readonly onEvent?: OnFlagsEvent
  /** Told of another value, as `old -> new`. Must not throw. */
  readonly onChange?: (detail: string) => void
}

/** A setting that the flag service holds for all users. */
export interface StringFlag<T extends string> {
  /** The last known value, at once. Looks at the flag in the background when that is due. */
  current(): T
  close(): void
}

/** Milliseconds after which a look that never came back is given up. */
const GIVE_UP_AFTER = 10_000

/** Follows an optional string flag, evaluated without a user. Never throws. */
export function createStringFlag<T extends string>(options: StringFlagOptions<T>): StringFlag<T> {
  const { flag, allowed, fallback, rememberMs = 1_000 } = options
  const client = clientOf(options)
  const onEvent = safely(options.onEvent)
  let value = fallback
  let refused = ''
  let askedAt = Number.NEGATIVE_INFINITY
  let look = 0
  let looking = false

  const take = (next: string): void => {
    if (allowed.includes(next as T)) {
      if (next !== value) {
        onEvent({ level: 'info', message: `flag ${flag}: ${value} -> ${next}` })
        options.onChange?.(`${value} -> ${next}`)
      }
      value = next as T
      refused = ''
    } else if (next !== refused) {
      refused = next
      const message = `flag ${flag}: ${quote(next)} is not one of ${allowed.join(', ')}; ${value} stays in force`
      onEvent({ level: 'warn', message })
    }
  }
  const ask = async (): Promise<void> => {
    const own = ++look
    looking = true
    askedAt = performance.now()
    const result = await evaluateString(client, flag, fallback)
    if (own !== look) return
    looking = false
    if (result.ok) take(result.value)
    else if (result.errorCode === 'FLAG_NOT_FOUND' && result.answered) take(fallback)
  }
  const changed = (): void => void ask()
  const events = [ProviderEvents.Ready, ProviderEvents.ConfigurationChanged] as const
  for (const event of events) client.addHandler(event, changed)

  return {
    current() {
      if (performance.now() - askedAt >= (looking ? GIVE_UP_AFTER : rememberMs)) void ask()
      return value
    },
    close() {
      look++
      askedAt = Number.POSITIVE_INFINITY
      for (const event of events) client.removeHandler(event, changed)
    },
  }
}
