import type { FastifyRequest } from 'fastify'
import { quote, SwitchbackError } from '../../errors.ts'
import {
  changeBack,
  changedLines,
  type ChangeOptions,
  type ChangeResult,
  changeShare,
  changeUndo,
  type FlagsEdit,
  type FlagsFile,
  loadFlags,
  preview,
  requireSides,
  setShare,
  whyDisabled,
} from '../../rollout/index.ts'
import type { ProcessesOptions } from '../../scrape/index.ts'
import type { ChangeAnswer, DiffLine, PreviewAnswer } from '../state/state.ts'

export interface ChangerOptions {
  readonly file: FlagsFile
  readonly flag: string
  readonly flagd: string | false
  /** The processes that must confirm a change now. */
  readonly processes: (flag: string) => ProcessesOptions
  /** Whether a flag is the page's, or that of a switch. */
  readonly knows: (flag: string) => boolean
  /** The author of changes without a name. */
  readonly operator: string
}

/** Users looked at for a preview. */
const SAMPLE = 10_000

interface Signed {
  readonly who?: string
  readonly reason?: string
}

/** Previews and changes, in the terms of the API. Needs neither guard nor metrics. */
export class Changer {
  readonly #options: ChangerOptions
  #previews: Promise<unknown> = Promise.resolve()

  constructor(options: ChangerOptions) {
    this.#options = options
  }

  /** One at a time: each is a tenth of a second of work. */
  preview(share: number, signal: AbortSignal): Promise<PreviewAnswer> {
    const next = this.#previews.then(() => this.#preview(share, signal))
    this.#previews = next.catch(() => {})
    return next
  }

  async share(
    body: Signed & { readonly share: number; readonly hash?: string },
    request: FastifyRequest,
  ): Promise<ChangeAnswer> {
    const onEdit = ({ before }: FlagsEdit): void => {
      if (body.hash === undefined || before.hash === body.hash) return
      throw new SwitchbackError(
        'SB_FLAGS_CHANGED',
        'the flags file changed since you looked at it',
        {
          hint: 'nothing was written; look at it again, then decide',
        },
      )
    }
    const options = { ...this.#change(body, request), onEdit }
    return answerOf(await changeShare({ ...options, percent: body.share }))
  }

  async rollBack(
    body: Signed & { readonly disable?: boolean; readonly flag?: string },
    request: FastifyRequest,
  ): Promise<ChangeAnswer> {
    const { flag = this.#options.flag } = body
    if (!this.#options.knows(flag)) {
      throw new SwitchbackError('SB_FLAG_UNKNOWN', `no switch reports the flag ${quote(flag)}`, {
        hint: 'on the machine with the file, switchback rollback --flag goes back all the same',
      })
    }
    const options = this.#change(body, request, flag)
    return answerOf(await changeBack({ ...options, disable: body.disable === true }))
  }

  async undo(body: Signed, request: FastifyRequest): Promise<ChangeAnswer> {
    return answerOf(await changeUndo(this.#change(body, request)))
  }

  async #preview(share: number, signal: AbortSignal): Promise<PreviewAnswer> {
    const { file, flag } = this.#options
    signal.throwIfAborted()
    const document = await loadFlags(file)
    if (share > 0) requireSides(document, flag)
    const edit = setShare(document, { flag, percent: share })
    const { before, after } = edit
    const moves = await preview({ flag, before, after, users: SAMPLE, names: 0, signal })
    const [joins, leaves] = [moves.joins.count, moves.leaves.count]
    return {
      from: edit.from ?? null,
      to: edit.to ?? null,
      hash: before.hash,
      users: moves.users,
      joins,
      leaves,
      diff: diffOf(edit),
      sentence: movesSentence(moves.users, joins, leaves),
    }
  }

  #change(
    { who, reason }: Signed,
    request: FastifyRequest,
    flag: string = this.#options.flag,
  ): ChangeOptions {
    const { file, flagd, operator, processes } = this.#options
    const name = who?.trim() ?? ''
    const why = reason?.trim() ?? ''
    const by = {
      who: name === '' ? operator : name,
      via: `control, from ${request.ip}`,
      ...(why === '' ? {} : { reason: why }),
    }
    return { file, flag, flagd, by, processes: processes(flag) }
  }
}

/** `1,512 of 10,000 sample users join, nobody leaves` */
export function movesSentence(users: number, joins: number, leaves: number): string {
  const count = (value: number): string => value.toLocaleString('en-US')
  const some = (value: number, verb: string): string =>
    value === 0 ? `nobody ${verb}s` : `${count(value)} ${verb}${value === 1 ? 's' : ''}`
  if (joins === 0) return `Of ${count(users)} sample users ${some(leaves, 'leave')}, nobody joins`
  return `${count(joins)} of ${count(users)} sample users join${joins === 1 ? 's' : ''}, ${some(leaves, 'leave')}`
}

function answerOf(result: ChangeResult): ChangeAnswer {
  const { edit, applied, confirmation, processes } = result
  const unasked = result.confirmed === undefined
  const lagging = processes?.lagging ?? []
  const causes = [
    unasked ? 'neither flagd nor a process was asked' : (confirmation?.cause ?? ''),
    ...lagging.map(({ process, cause }) => `${process} ${cause}`),
  ]
  return {
    action: edit.action,
    from: edit.from ?? null,
    to: edit.to ?? null,
    written: applied !== undefined,
    confirmed: result.confirmed ?? false,
    servedMs: confirmation?.servedMs ?? null,
    lastMs: confirmation?.lastMs ?? null,
    movers: confirmation?.movers ?? 0,
    processes: processes
      ? {
          known: processes.known,
          deciding: processes.deciding,
          lastMs: processes.lastMs ?? null,
        }
      : null,
    cause: causes.filter((cause) => cause !== '').join('; '),
    hint: confirmation?.hint ?? '',
    warning: [whyDisabled(edit), applied?.warning ?? ''].filter((each) => each !== '').join('; '),
    diff: diffOf(edit),
  }
}

function diffOf({ before, after }: FlagsEdit): DiffLine[] {
  return changedLines(before.text, after.text).slice(0, 80)
}
