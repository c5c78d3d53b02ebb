import {
  type EvaluationContext,
  type Hook,
  OpenFeatureEventEmitter,
  type Provider,
  ProviderEvents,
  type ResolutionDetails,
} from '@openfeature/server-sdk'

/** Whatever it does instead of answering: it may throw, and return anything. */
export type Mood = (context: EvaluationContext) => unknown

export const good: Mood = () => ({ value: true, variant: 'on', reason: 'TARGETING_MATCH' })

export interface MoodyOptions {
  readonly initialize?: () => Promise<void>
  readonly onClose?: () => Promise<void>
  readonly hooks?: Hook[]
  /** Has no emitter at all. */
  readonly mute?: boolean
}

/** A provider that keeps no promise of its interface. */
export class MoodyProvider implements Provider {
  readonly metadata = { name: 'moody' }
  readonly runsOn = 'server'
  readonly hooks: Hook[]
  readonly initialize?: () => Promise<void>
  readonly onClose?: () => Promise<void>
  readonly events?: OpenFeatureEventEmitter
  mood: Mood = good

  constructor(options: MoodyOptions = {}) {
    this.hooks = options.hooks ?? []
    if (options.initialize !== undefined) this.initialize = options.initialize
    if (options.onClose !== undefined) this.onClose = options.onClose
    if (options.mute !== true) this.events = new OpenFeatureEventEmitter()
  }

  emit(event: ProviderEvents): void {
    this.events?.emit(event, { message: 'moody' })
  }

  resolveBooleanEvaluation(
    _flag: string,
    _value: boolean,
    context: EvaluationContext,
  ): Promise<ResolutionDetails<boolean>> {
    // No async function: what is thrown is thrown at the caller.
    return this.mood(context) as Promise<ResolutionDetails<boolean>>
  }

  resolveStringEvaluation(): never {
    throw new Error('not asked')
  }

  resolveNumberEvaluation(): never {
    throw new Error('not asked')
  }

  resolveObjectEvaluation(): never {
    throw new Error('not asked')
  }
}

const never = new Promise<never>(() => {})
const loop: Record<string, unknown> = { value: 'x' }
loop['self'] = loop

/** Ways not to answer. None of them may fail a request, or put anybody on. */
export const BAD_MOODS: Readonly<Record<string, Mood>> = {
  'throws at once': () => {
    throw new Error('bad mood')
  },
  'throws a string': () => {
    throw 'bad mood'
  },
  'throws undefined': () => {
    throw undefined
  },
  'rejects with null': () => Promise.reject(null),
  'rejects with a code that is no text': () =>
    Promise.reject(Object.assign(new Error('x'), { code: Object.create(null) as unknown })),
  'throws what cannot be printed': () => {
    throw Object.create(null)
  },
  'fails with a message that is no text': () => ({
    value: false,
    errorCode: 'GENERAL',
    errorMessage: { toString: 'none' },
  }),
  'says that it is not ready': () =>
    Promise.reject(Object.assign(new Error('x'), { code: 'PROVIDER_NOT_READY' })),
  'says that the flag is a parse error': () =>
    Promise.reject(Object.assign(new Error('x'), { code: 'PARSE_ERROR' })),
  'never answers': () => never,
  'answers undefined': () => undefined,
  'answers null': () => Promise.resolve(null),
  'answers nothing in an object': () => ({}),
  'answers with a string': () => ({ value: 'true', variant: 'on', reason: 'STATIC' }),
  'answers with a number': () => ({ value: 1, variant: 'on', reason: 'STATIC' }),
  'answers with an object': () => ({ value: { on: true } }),
  'answers with a Boolean object': () => ({ value: Object(true) as unknown }),
  'answers with null as the value': () => ({ value: null, reason: 'DEFAULT' }),
  'answers with something that holds itself': () => loop,
  'answers true with an error code': () => ({ value: true, errorCode: 'GENERAL' }),
  'answers with a value that throws': () => ({
    get value() {
      throw new Error('no value')
    },
  }),
}
