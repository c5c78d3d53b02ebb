import { quote, SwitchbackError } from '../../errors.ts'
import type { NotifyPlan, ReceiverPlan } from '../plan/plan.ts'
import type { Receiver } from './deliver.ts'
import { NOTIFY_ON } from './message.ts'
import type { Receivers } from './notifier.ts'

/**
 * The receivers of a plan. `$NAME` is a webhook's address in the environment, since such an address
 * is often a password.
 *
 * @throws SwitchbackError `SB_PLAN_INVALID` when a variable is not set or not a URL
 */
export function receiversOf(
  plan: NotifyPlan,
  env: Readonly<Record<string, string | undefined>>,
): Receivers {
  const found = NOTIFY_ON.map((on) => [on, plan[on].map((one) => receiverOf(one, env))] as const)
  return Object.fromEntries(found) as unknown as Receivers
}

function receiverOf(
  one: ReceiverPlan,
  env: Readonly<Record<string, string | undefined>>,
): Receiver {
  if (typeof one !== 'string') return { kind: 'command', argv: one }
  const name = one.startsWith('$') ? one.slice(1) : undefined
  const text = name === undefined ? one : env[name]
  if (text === undefined || text === '') {
    throw new SwitchbackError('SB_PLAN_INVALID', `Plan: notify: ${quote(one)} is not set`, {
      hint: `Set the environment variable ${name} to the address of the webhook.`,
    })
  }
  if (isWebhook(text)) return { kind: 'webhook', url: new URL(text) }
  throw new SwitchbackError('SB_PLAN_INVALID', `Plan: notify: ${quote(one)} is not an http URL`, {
    hint: 'Write http:// or https:// and the address; a command is a list, [program, argument].',
  })
}

/** Whether a text is the address of a webhook. */
export function isWebhook(text: string): boolean {
  return /^https?:\/\/[^/]/.test(text) && URL.canParse(text)
}
