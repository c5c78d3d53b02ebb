import { open, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { quote, SwitchbackError } from '../../errors.ts'
import type { EyesState } from '../watch/eyes.ts'
import type { PlanLines } from '../plan/plan-changes.ts'

/**
 * - `baseline`: the old side's rates are being measured;
 * - `step`: a share is served and judged;
 * - `finished`: the last step was reached; the guard keeps watching for harm;
 * - `rolled back`: by the guard; it does nothing more until it is resumed;
 * - `yielded`: a person changed the split; the guard only watches.
 */
export type Phase = 'baseline' | 'step' | 'finished' | 'rolled back' | 'yielded'

/** A person wants no step, until the pause is ended. */
export interface Paused {
  readonly who: string
  /** Epoch milliseconds. */
  readonly since: number
}

/** What a person wants of a running guard, besides an approval. */
export type Order =
  /** `resume`: act again after a rollback or an edit by hand, with evidence that begins at nothing. */
  | { readonly kind: 'pause' | 'unpause' | 'resume'; readonly who: string }
  /** The next step now, if it is still this one. */
  | { readonly kind: 'promote'; readonly who: string; readonly to: number }

/** All that a guard must know after a restart. */
export interface GuardState extends EyesState {
  readonly version: 2
  readonly flag: string
  readonly phase: Phase
  /** The share, in per cent, that the file should have. */
  readonly percent: number
  /**
   * A share that was about to be written; after a crash it distinguishes our own edit from a
   * person's.
   */
  readonly intent: number | undefined
  /** Share that waits for approval. */
  readonly awaiting: number | undefined
  /** Undefined, also of an older state: steps are taken. */
  readonly paused?: Paused | undefined
  /** Why it rolled back or yielded. */
  readonly reason: string
  /** Epoch milliseconds since when it does nothing more; 0 while it acts. */
  readonly stoppedAt: number
  /** What the plan was; undefined of a state of the first edition, whose evidence says nothing to this one. */
  readonly plan: PlanLines | undefined
  /** Epoch milliseconds. */
  readonly savedAt: number
}

export interface StateStore {
  load(): Promise<GuardState | undefined>
  save(state: GuardState): Promise<void>
  /** Takes a pending approval: the share in percent that may be set. */
  takeApproval(): Promise<number | undefined>
  /** Takes a pending order. */
  takeOrder?(): Promise<Order | undefined>
}

/** The first edition judged other metrics: where the rollout stands is kept, its evidence is not. */
export function fromFirst(state: GuardState): GuardState {
  const nothing = { epoch: 1, baselineS: 0, judge: undefined, plan: undefined, stoppedAt: 0 }
  return { ...state, ...nothing, version: 2 }
}

/** Leaves an approval for the guard that keeps its state in `file`. */
export async function leaveApproval(file: string, percent: number): Promise<void> {
  await writeFile(`${file}.approve`, `${percent}\n`)
}

/** Leaves an order for the guard that keeps its state in `file`. */
export async function leaveOrder(file: string, order: Order): Promise<void> {
  const temporary = `${file}.order.new`
  await writeFile(temporary, JSON.stringify(order))
  await rename(temporary, `${file}.order`)
}

/**
 * Keeps the state in a file: written aside and renamed, so that a crash leaves the old or the new.
 */
export function fileStore(file: string): StateStore {
  return {
    async load() {
      let text: string
      try {
        text = await readFile(file, 'utf8')
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
        throw error
      }
      try {
        const state = JSON.parse(text) as { readonly version: unknown }
        if (state.version === 2) return state as GuardState
        if (state.version === 1) return fromFirst(state as unknown as GuardState)
      } catch {
        // Reported below.
      }
      throw new SwitchbackError(
        'SB_GUARD_STATE_BROKEN',
        `The guard's state file ${quote(file)} is invalid`,
        {
          hint: 'Delete it; the guard then starts with a new baseline at the current share.',
        },
      )
    },
    async save(state) {
      const temporary = `${file}.new`
      const handle = await open(temporary, 'w', 0o600)
      try {
        await handle.writeFile(JSON.stringify(state))
        await handle.sync()
      } finally {
        await handle.close()
      }
      await rename(temporary, file)
    },
    async takeOrder() {
      const text = await readFile(`${file}.order`, 'utf8').catch(() => undefined)
      if (text === undefined) return undefined
      await rm(`${file}.order`, { force: true })
      return orderOf(text)
    },
    async takeApproval() {
      try {
        const percent = Number(await readFile(`${file}.approve`, 'utf8'))
        await rm(`${file}.approve`, { force: true })
        return Number.isFinite(percent) ? percent : undefined
      } catch {
        return undefined
      }
    },
  }
}

/** Anybody who may write beside the flags file may leave one, so every field is checked. */
function orderOf(text: string): Order | undefined {
  try {
    const { kind, who, to } = JSON.parse(text) as Partial<Record<string, unknown>>
    if (typeof who !== 'string') return undefined
    if (kind === 'pause' || kind === 'unpause' || kind === 'resume') return { kind, who }
    if (kind === 'promote' && typeof to === 'number') return { kind, who, to }
  } catch {
    // Not an order.
  }
  return undefined
}
