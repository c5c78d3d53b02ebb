import type { Client } from '@openfeature/server-sdk'
import { quote } from '../../errors.ts'
import { FlagAnswers, NOT_ANSWERED, UNANSWERED } from './flag-answer.ts'
import type { FlagAnswer } from './flag-answer.ts'
import { clientOf } from '../openfeature-client.ts'
import { evaluationContext } from './decision-context.ts'
import { completeOptions } from './decider-options.ts'
import type { CompleteDeciderOptions, DeciderOptions } from './decider-options.ts'
import type { Decision, DecisionContext, FlagDecider, FlagHealth } from './decision.ts'
import { evaluateBoolean } from './provider-evaluation.ts'
import type { Evaluation } from './provider-evaluation.ts'
import { safely } from '../flags-event.ts'
import { LiveSplitWatch } from './live-split.ts'
import { elapsed, RememberedDecisions } from './remembered.ts'
import type { Remembered } from './remembered.ts'
import { evaluationBegins, evaluationEnds } from './pressure.ts'
import { suitableRememberMs } from '../source/provider-facts.ts'
import { ServiceWatch } from '../watch/service-watch.ts'

/** Most evaluations under way for users whose last known answer nothing has changed since. */
const MAX_REFRESHES = 64
/** Most evaluations under way in all. */
const MAX_EVALUATIONS = 1_024
/** Milliseconds after which a failed evaluation is tried again, however long decisions are remembered. */
const RETRY_AFTER = 250

/**
 * Asks a boolean flag which side serves, and remembers the answers.
 *
 * @throws SwitchbackError `SB_OPTION_INVALID` for an option that cannot work.
 */
export function createDecider(options: DeciderOptions): FlagDecider {
  return new RememberingDecider(completeOptions(options))
}

class RememberingDecider extends RememberedDecisions implements FlagDecider {
  readonly flag: string
  readonly feature: string | undefined
  readonly #options: CompleteDeciderOptions
  readonly #client: Client
  readonly #service: ServiceWatch
  readonly #split: LiveSplitWatch | undefined
  readonly #answers = new FlagAnswers()
  readonly #flights = new Map<string, Promise<Decision>>()
  /** The first epoch whose answer `on` still counts: users may have lost the new side with it. */
  #countsFrom = 0
  /** As `#countsFrom`, where the flag service says nothing: a change was announced, and nobody knows what it brought. */
  #doubtFrom = 0
  /** Whose answers `on` of before the present epoch are held under it, while nobody knows what it brought. */
  readonly #onTrust = new Set<string>()
  /** Evaluations that have not returned yet, whether or not an operation still waits for them. */
  #underWay = 0
  #closed = false

  constructor(options: CompleteDeciderOptions) {
    const client = clientOf(options)
    super(options.maxRemembered, options.rememberMs ?? suitableRememberMs(client))
    this.#options = options
    this.#client = client
    const { flag, feature, liveSplit = {} } = options
    this.flag = flag
    this.feature = feature
    if (liveSplit !== false) {
      this.#split = new LiveSplitWatch({
        ...liveSplit,
        client: this.#client,
        plain: options.client === undefined,
        flag,
        feature,
        onNarrowed: (announced) => this.#narrowed(announced),
        onDoubt: () => this.#doubt(),
      })
    }
    this.#service = new ServiceWatch({
      client: this.#client,
      flag: options.flag,
      onEvent: safely(options.onEvent),
      onChange: (announced) => {
        this.epoch = (this.epoch + 1) | 0
        // Who asks from here on is not answered by what was asked before.
        this.#flights.clear()
        this.#onTrust.clear()
        if (this.#split !== undefined) this.#split.changed(announced)
        else if (announced) this.#doubt()
        // Tests whether the service is back without waiting for the next user.
        if (this.#service?.flagIsWrong) void this.decide({})
      },
    })
  }

  health(): FlagHealth {
    const health = this.#service.health()
    const liveSplit = this.#split?.look()
    return liveSplit === undefined ? health : { ...health, liveSplit }
  }

  close(): Promise<void> {
    this.#closed = true
    this.#service.close()
    this.#split?.close()
    return Promise.resolve()
  }

  protected refresh(key: string, context: DecisionContext): void {
    if (this.#closed || this.#service.gate.shut) return
    if (this.#underWay >= MAX_REFRESHES || this.#flights.has(key)) return
    void this.#start(key, context)
  }

  protected ask(
    key: string,
    context: DecisionContext,
    known: Remembered | undefined,
  ): Decision | Promise<Decision> {
    const instead = known !== undefined && this.#counts(known) ? known.answer.held : NOT_ANSWERED
    if (this.#closed) return instead
    if (this.#service.gate.shut) {
      if (this.#service.gate.takeProbe(this.#underWay)) void this.#start(key, context)
      return instead
    }
    const flight = this.#flights.get(key)
    if (flight !== undefined) return flight
    // After a change the last known answer is another side's, perhaps: such a user is asked about as a new one.
    const most = known?.epoch === this.epoch ? MAX_REFRESHES : MAX_EVALUATIONS
    if (this.#underWay >= most) return instead
    return this.#start(key, context)
  }

  #start(key: string, context: DecisionContext): Decision | Promise<Decision> {
    const { flag, feature, client } = this.#options
    const trial = { key, at: this.moment(), epoch: this.epoch, changes: this.#service.changes }
    const asked = evaluationContext(context, feature)
    const result = evaluateBoolean(this.#client, flag, asked, client === undefined)
    return result instanceof Promise ? this.#wait(trial, result) : this.#learn(trial, result)
  }

  /** No longer than the deadline. */
  #wait(trial: Trial, evaluation: Promise<Evaluation<boolean>>): Promise<Decision> {
    const { key } = trial
    const flight = new Promise<Decision>((resolve) => {
      let late = false
      const land = (decision: Decision): void => {
        evaluationEnds()
        if (this.#flights.get(key) === flight) this.#flights.delete(key)
        resolve(decision)
      }
      const miss = (): void => {
        if (late) return
        late = true
        land(this.#learnNothing(trial))
      }
      // After a stall of the event loop the answer may have arrived unread: read it first.
      const timer = setTimeout(() => setImmediate(miss), this.#options.deadlineMs)
      this.#underWay++
      evaluationBegins()
      void evaluation.then((result) => {
        this.#underWay--
        if (late) return this.#learnLate(trial, result)
        late = true
        clearTimeout(timer)
        land(this.#learn(trial, result))
      })
    })
    this.#flights.set(key, flight)
    return flight
  }

  #learn(trial: Trial, result: Evaluation<boolean>): Decision {
    if (result.ok) return this.#accept(trial, result).live
    const { errorCode, answered } = result
    const { gate, ready, changes } = this.#service
    if (answered) {
      gate.open()
      this.#service.flagFailed(errorCode, result.message, trial.changes)
    } else gate.failed(`${errorCode} ${quote(result.message)}`, ready)

    const error = this.#answers.of({ side: 'off', variant: '', reason: 'ERROR', errorCode })
    // FLAG_NOT_FOUND from a ready provider is an answer: the flag was deleted. Any other error is a
    // mistake in the rule or an outage, and changes nothing for users with a last known answer.
    const deleted = errorCode === 'FLAG_NOT_FOUND' && answered && changes === trial.changes
    if (!deleted) return this.#hold(trial, error, answered)
    this.#learned(trial, error, this.#retryAt(trial))
    return error.live
  }

  #learnNothing(trial: Trial): Decision {
    this.#service.gate.failed(
      `no answer within ${this.#options.deadlineMs} ms`,
      this.#service.ready,
    )
    return this.#hold(trial, UNANSWERED)
  }

  /**
   * Gives the last known answer, or `instead` when there is none that counts, until the background
   * retry: the next operations do not wait.
   */
  #hold(trial: Trial, instead: FlagAnswer, answered: boolean = false): Decision {
    const known = this.memory.get(trial.key)
    if (
      known === undefined ||
      known.answer.live.errorCode !== '' ||
      !this.#counts(known, answered)
    ) {
      this.#learned(trial, instead, this.#retryAt(trial))
      return instead.live
    }
    const older = elapsed(known.epoch, trial.epoch)
    // Asked again meanwhile, after a change.
    if (older < 0) return known.decision
    if (older > 0 && known.answer.live.side === 'on') this.#onTrust.add(trial.key)
    const { answer } = known
    return this.remember(trial.key, answer.held, answer, this.#retryAt(trial), trial.epoch).decision
  }

  /**
   * A rollback that this process has seen must not be undone by an outage; a widening may.
   *
   * @param answered the service has: the last change broke the flag, and is no rollback that nobody could see
   */
  #counts({ answer, epoch }: Remembered, answered: boolean = false): boolean {
    if (answer.live.side === 'off') return true
    if (elapsed(this.#countsFrom, epoch) < 0) return false
    return answered || elapsed(this.#doubtFrom, epoch) >= 0
  }

  /** Users may have lost the new side: only whom the flag has given it since may hold it. */
  #narrowed(announced: boolean): void {
    // Everybody is asked again at once, as after a change that was announced.
    if (!announced) this.epoch = (this.epoch + 1) | 0
    this.#countsFrom = this.epoch
    this.#doubt()
  }

  /** In doubt a change has taken the new side from everybody. */
  #doubt(): void {
    this.#doubtFrom = this.epoch
    for (const key of this.#onTrust) {
      const known = this.memory.get(key)
      if (known === undefined || known.decision !== known.answer.held) continue
      this.remember(key, NOT_ANSWERED, UNANSWERED, known.at, known.epoch)
    }
    this.#onTrust.clear()
  }

  /** So far in the past that a refresh is due soon, however long decisions are remembered. */
  #retryAt({ at }: Trial): number {
    return at - Math.max(0, this.refreshAfterMs - RETRY_AFTER)
  }

  /** A late answer is kept for the next operation; a late error is not. */
  #learnLate(trial: Trial, result: Evaluation<boolean>): void {
    if (result.ok) this.#accept(trial, result)
  }

  #accept(trial: Trial, result: Evaluation<boolean> & { readonly ok: true }): FlagAnswer {
    const { value, variant, reason } = result
    const answer = this.#answers.of({
      side: value ? 'on' : 'off',
      variant,
      reason,
      errorCode: '',
    })
    this.#learned(trial, answer, trial.at)
    this.#service.gate.open()
    this.#service.flagIsRight(trial.changes)
    return answer
  }

  #learned(trial: Trial, answer: FlagAnswer, at: number): void {
    const { key, epoch } = trial
    const known = this.memory.get(key)
    // A later request may have been answered earlier.
    if (known !== undefined && elapsed(known.at, trial.at) < 0) return
    this.remember(key, answer.remembered, answer, at, epoch)
  }
}

/** One evaluation, with the state at its start. */
interface Trial {
  readonly key: string
  readonly at: number
  readonly epoch: number
  readonly changes: number
}
