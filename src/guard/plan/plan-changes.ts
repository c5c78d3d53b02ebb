import { lasting, sharePercent } from '../rule/index.ts'
import { type Plan, watchedText } from './plan.ts'

/** A plan as lines for people, by name: what a changed plan is told by. */
export type PlanLines = Readonly<Record<string, string>>

export function planLines(plan: Plan): PlanLines {
  const { judge, blindness, sources } = plan
  const lines: Record<string, string> = {
    steps: `${plan.steps.join(', ')} %`,
    hold: lasting(judge.minHoldS ?? 60),
    settle: lasting(judge.settleS ?? 10),
    users: String(plan.minUsers),
    operations: String(judge.minOperations ?? 30),
    alpha: sharePercent(judge.alpha ?? 0.01),
    evidence: String(judge.advanceEvidence ?? 20),
    baseline: String(judge.baselineOperations ?? 3000),
    baselineTime: lasting(plan.baselineS),
    advance: plan.advance,
    interval: `${plan.intervalMs} ms`,
    'lost.after': lasting(blindness.alarmAfterS ?? 30),
    'lost.giveUpAfter': lasting(blindness.giveUpAfterS ?? 600),
    'lost.quorum': sharePercent(blindness.quorum ?? 0.5),
    'lost.then': plan.lost,
    ...(plan.watched && { watches: watchedText(plan.watched) }),
    sources: sources.prometheus?.url ?? sources.replicas.join(', '),
  }
  // How many, since addresses are often passwords.
  for (const [on, receivers] of Object.entries(plan.notify)) {
    if (receivers.length > 0) lines[`notify.${on}`] = counted(receivers.length)
  }
  for (const { id, harm, patienceS, designEffect } of plan.metrics) {
    lines[`${id}.harm`] = sharePercent(harm)
    lines[`${id}.patience`] = lasting(patienceS)
    if (id === 'degraded') lines['degraded.late'] = `${plan.lateS * 1000} ms`
    if (designEffect !== undefined) lines[`${id}.designEffect`] = String(designEffect)
  }
  for (const { id, bad, total } of plan.custom) {
    lines[`${id}.bad`] = bad.text
    lines[`${id}.total`] = total.text
  }
  for (const { selector, of, above, forS, action } of plan.limits) {
    lines[`limit ${selector.text}`] = `${of} above ${above} for ${lasting(forS)}, then ${action}`
  }
  return lines
}

function counted(receivers: number): string {
  return receivers === 1 ? '1 receiver' : `${receivers} receivers`
}

/** What is another now, a line each: `hold is now 5 min (was 60 s)`. */
export function planChanges(before: PlanLines, now: PlanLines): readonly string[] {
  const names = new Set([...Object.keys(before), ...Object.keys(now)])
  return Array.from(names).flatMap((name) => {
    const [was, is] = [before[name], now[name]]
    if (was === is) return []
    if (was === undefined) return [`${name} is new: ${is}`]
    return is === undefined
      ? [`${name} is gone (was ${was})`]
      : [`${name} is now ${is} (was ${was})`]
  })
}
