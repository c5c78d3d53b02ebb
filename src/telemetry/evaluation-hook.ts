import { createEvaluationEvent, TelemetryAttribute } from '@openfeature/server-sdk'
import type { EvaluationDetails, FlagValue, HookContext } from '@openfeature/server-sdk'
import { isProbeUser } from '../flagfile/index.ts'
import { loadPeer } from '../peers.ts'

/** The part of OpenTelemetry's `Logger` that is used here. */
export interface EventLogger {
  emit(event: { readonly eventName: string; readonly attributes: EventAttributes }): void
}

export type EventAttributes = Record<string, string | number | boolean | object | null | undefined>

export interface EvaluationHookOptions {
  /** Where the events go. @default the global OpenTelemetry logger, which drops them when none is set */
  readonly logger?: EventLogger
  /**
   * Whether events carry `feature_flag.context.id`, the raw targeting key. Off by default: user ids
   * do not belong in telemetry.
   * @default false
   */
  readonly includeTargetingKey?: boolean
}

/** The part of OpenFeature's `Hook` that is used here. */
export interface EvaluationHook {
  readonly name: string
  finally(context: Readonly<HookContext>, details: EvaluationDetails<FlagValue>): void
}

/**
 * An OpenFeature hook that emits one `feature_flag.evaluation` event for each evaluation of a flag, by
 * OpenFeature's own helper. It runs only when a decision is evaluated live, not when it is remembered,
 * and not for the probe users of a live split.
 *
 * @see https://opentelemetry.io/docs/specs/semconv/feature-flags/feature-flags-events/
 */
export function evaluationHook(options: EvaluationHookOptions = {}): EvaluationHook {
  const logger = options.logger ?? globalLogger()
  return {
    name: 'switchback-evaluation-events',
    finally(context, details) {
      if (isProbeUser(context.context.targetingKey ?? '')) return
      const event = createEvaluationEvent(context, details)
      const attributes: EventAttributes = {}
      for (const [name, value] of Object.entries(event.attributes)) {
        if (name === TelemetryAttribute.CONTEXT_ID && options.includeTargetingKey !== true) continue
        attributes[name] = value
      }
      logger.emit({ eventName: event.name, attributes })
    },
  }
}

function globalLogger(): EventLogger {
  const api = loadPeer(
    '@opentelemetry/api',
    'evaluationHook',
  ) as typeof import('@opentelemetry/api')
  return api.logs.getLogger('switchback') as EventLogger
}
