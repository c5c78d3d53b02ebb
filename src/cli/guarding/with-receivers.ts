import { quote } from '../../errors.ts'
import { isWebhook, NOTIFY_ON, notifierOf, type Plan, testMessage } from '../../guard/index.ts'
import { type Environment, exitCode, type Output, usageError } from '../framework/command.ts'
import type { Style } from '../framework/style.ts'
import { whoAmI } from '../changing/target.ts'

/** A plan that also tells those whom `--notify` and `--notify-command` name, of everything. */
export function withReceivers(
  plan: Plan,
  values: { readonly notify: readonly string[]; readonly 'notify-command': readonly string[] },
): Plan {
  for (const text of values.notify) {
    if (text.startsWith('$') || isWebhook(text)) continue
    throw usageError(`--notify ${quote(text)} is not an http URL`, 'write http://host/path')
  }
  const named = [...values.notify, ...values['notify-command'].map((program) => [program])]
  if (named.length === 0) return plan
  const added = NOTIFY_ON.map((on) => [on, [...plan.notify[on], ...named]] as const)
  return { ...plan, notify: Object.fromEntries(added) as unknown as Plan['notify'] }
}

/** Sends one test message to each receiver and says what each of them answered. */
export async function testNotify(
  plan: Plan,
  flag: string,
  {
    env,
    stdout,
    style,
  }: { readonly env: Environment; readonly stdout: Output; readonly style: Style },
): Promise<number> {
  const guard = `guard of ${whoAmI(env).who}`
  const notifier = notifierOf(plan, guard, env)
  if (notifier === undefined) {
    throw usageError('the plan names nobody in notify', 'add notify: { onAlarm: [URL] }')
  }
  const results = await notifier.test(testMessage(flag, guard))
  for (const [name, what] of results) {
    stdout.write(`${name}: ${what === '' ? 'accepted' : style.red(what)}\n`)
  }
  return Array.from(results.values()).every((what) => what === '')
    ? exitCode.done
    : exitCode.unconfirmed
}
