import { Judge } from '../../src/guard/rule/index.ts'
import type { ArmPair } from '../../src/guard/rule/index.ts'
import { Traffic } from './traffic.ts'
import { FAILED } from './trial.ts'

/** How much longer a step took than was said, one ratio a time that it was asked. */
export function estimateRatios(
  seed: number,
  options: {
    readonly perSecond: number
    readonly base: number
    readonly askedS: readonly number[]
  },
): number[] {
  const { perSecond, base, askedS } = options
  const judge = new Judge({ metrics: [FAILED], baselineOperations: 600, minHoldS: 0 })
  const traffic = new Traffic({ seed, perSecond, users: 5000 })
  const poll = (at: number, share: number): void => {
    const pair = traffic.second(share, base, base)
    judge.observe(at, 1, new Map([['failed', new Map<string, ArmPair>([['a', pair]])]]))
  }
  let at = 0
  while (judge.unready.length > 0) poll(at++, 0)
  const begun = at
  judge.beginStep({ at, share: 0.1, next: 0.25 })
  const said: { readonly at: number; readonly seconds: number }[] = []
  for (let answer = 'undecided'; answer !== 'safe' && at < begun + 40_000;) {
    poll(++at, 0.1)
    const asked = askedS.includes(at - begun)
    const verdict = judge.verdict(at, asked)
    ;({ answer } = verdict)
    if (answer === 'regressed') return []
    const seconds = verdict.metrics[0]?.waits?.seconds
    if (asked && seconds !== undefined) said.push({ at, seconds })
  }
  return said.map((one) => (at - one.at) / one.seconds)
}
