// Providers that do as they are told, for the tests of the flags room: one whose flag is a function,
// with a switch for each way in which a provider can misbehave.
import { OpenFeature, OpenFeatureEventEmitter, ProviderEvents } from '@openfeature/server-sdk'
import type { EvaluationContext, Provider, ResolutionDetails } from '@openfeature/server-sdk'
import { HUNG_MS, until as untilNamed } from './until.ts'

type Rule = (context: EvaluationContext) => ResolutionDetails<unknown>

/** Answers by a rule, counts who asks, and can hang, fail or be late. */
export class ScriptedProvider implements Provider {
  readonly metadata = { name: 'scripted' }
  readonly runsOn = 'server'
  readonly events: OpenFeatureEventEmitter = new OpenFeatureEventEmitter()
  readonly asked: EvaluationContext[] = []
  rule: Rule = () => ({ value: true, variant: 'on', reason: 'TARGETING_MATCH' })
  /** Evaluations wait here until {@link release}, which answers them by the rule of then. */
  #held: (() => void)[] | undefined

  hang(): void {
    this.#held ??= []
  }

  get hanging(): number {
    return this.#held?.length ?? 0
  }

  release(): void {
    const held = this.#held ?? []
    this.#held = undefined
    for (const go of held) go()
  }

  emit(event: ProviderEvents, message?: string): void {
    this.events.emit(event, message === undefined ? {} : { message })
  }

  resolveBooleanEvaluation(
    _flag: string,
    _value: boolean,
    context: EvaluationContext,
  ): Promise<ResolutionDetails<boolean>> {
    return this.#answer(context) as Promise<ResolutionDetails<boolean>>
  }

  resolveStringEvaluation(
    _flag: string,
    _value: string,
    context: EvaluationContext,
  ): Promise<ResolutionDetails<string>> {
    return this.#answer(context) as Promise<ResolutionDetails<string>>
  }

  resolveNumberEvaluation(): Promise<ResolutionDetails<number>> {
    throw new Error('not used')
  }

  resolveObjectEvaluation(): never {
    throw new Error('not used')
  }

  async #answer(context: EvaluationContext): Promise<ResolutionDetails<unknown>> {
    this.asked.push(context)
    const { rule } = this
    if (this.#held === undefined) return rule(context)
    await new Promise<void>((resolve) => this.#held?.push(resolve))
    return this.rule(context)
  }
}

export const on: Rule = () => ({ value: true, variant: 'on', reason: 'TARGETING_MATCH' })
export const off: Rule = () => ({ value: false, variant: 'off', reason: 'TARGETING_MATCH' })
export const fails =
  (message: string, errorCode?: string): Rule =>
  () => {
    throw Object.assign(new Error(message), errorCode === undefined ? {} : { code: errorCode })
  }

let domains = 0

/** Sets a provider under a domain of its own, so that tests do not see one another. */
export async function domainOf(provider: Provider): Promise<string> {
  const domain = `test-${++domains}`
  await OpenFeature.setProviderAndWait(domain, provider)
  return domain
}

/** Polls until the condition holds; fails after the deadline. */
export function until(
  condition: () => boolean | Promise<boolean>,
  deadlineMs: number = HUNG_MS,
): Promise<void> {
  return untilNamed(String(condition), condition, deadlineMs)
}
