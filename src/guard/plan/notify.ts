import { isWebhook } from '../notify/receivers.ts'
import { NOTIFY_ON } from '../notify/message.ts'
import type { NotifyPlan, ReceiverPlan } from './plan.ts'
import type { PlanReader } from './reader.ts'

/** Who is told of what: webhooks, and commands as lists. */
export function readNotify(reader: PlanReader): NotifyPlan {
  reader.only(...NOTIFY_ON)
  const entries = NOTIFY_ON.map((on) => [on, readReceivers(reader.at(on))] as const)
  return Object.fromEntries(entries) as unknown as NotifyPlan
}

function readReceivers(reader: PlanReader): readonly ReceiverPlan[] {
  if (reader.missing) return []
  // One webhook need not be a list.
  if (typeof reader.value === 'string') return readReceiver(reader)
  return reader.list().flatMap((entry) => readReceiver(entry))
}

function readReceiver(reader: PlanReader): readonly ReceiverPlan[] {
  if (Array.isArray(reader.value)) {
    const argv = reader.list().map((entry) => entry.text(''))
    if (argv.length === 0) reader.problem('expected a program and its arguments, got []')
    return [argv]
  }
  const text = reader.text('')
  if (text.startsWith('$') || isWebhook(text)) return [text]
  reader.problem(
    'expected an http URL, $NAME of an environment variable with one, or a list [program, argument]',
  )
  return []
}
