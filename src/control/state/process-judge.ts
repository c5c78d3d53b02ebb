import {
  type Expectation,
  expectationOf,
  type FlagsDocument,
  judgeProcess,
} from '../../rollout/index.ts'
import type { ProcessAnswer } from '../../scrape/index.ts'

/** What the processes of the application decide, compared with what the file says. */
export interface ProcessesReading {
  /** How many are named, and how many of them decide what the file says. */
  readonly known: number
  readonly agreeing: number
  /** How many report nothing about the flag, e.g. because of an older version. */
  readonly untold: number
  readonly list: readonly ProcessReport[]
  /** The name of the new side's backend, e.g. `redis`; `''` where it is unknown. */
  readonly newSide: string
}

export interface ProcessReport {
  readonly process: string
  readonly agrees: boolean
  /** It gives no answer. */
  readonly silent: boolean
  /** Why it does not agree; `''` when it does. */
  readonly cause: string
  /** Why it refuses the flags; `''` when it does not. */
  readonly refuses: string
  /**
   * The share of the probe users that it sends to the new side, 0 to 1; `null` where it does not
   * report it.
   */
  readonly onShare: number | null
}

/** Judges what the processes report; evaluates the file only when it changed. */
export class ProcessJudge {
  readonly #flag: string
  #document: FlagsDocument | undefined
  #expected: Expectation | undefined

  constructor(flag: string) {
    this.#flag = flag
  }

  read(document: FlagsDocument | undefined, answers: readonly ProcessAnswer[]): ProcessesReading {
    const expected = this.#expectation(document)
    const list = answers.map((answer) => this.#report(answer, expected))
    const told = answers.find(({ reading }) => (reading?.newSide ?? '') !== '')
    return {
      known: list.length,
      agreeing: list.filter(({ agrees }) => agrees).length,
      untold: list.filter(({ silent, onShare }) => !silent && onShare === null).length,
      list,
      newSide: told?.reading?.newSide ?? '',
    }
  }

  #expectation(document: FlagsDocument | undefined): Expectation | undefined {
    if (document === this.#document) return this.#expected
    this.#document = document
    try {
      this.#expected = document && expectationOf(document, this.#flag)
    } catch {
      // A problem of the file is a finding of its own.
      this.#expected = undefined
    }
    return this.#expected
  }

  #report(answer: ProcessAnswer, expected: Expectation | undefined): ProcessReport {
    const { process, reading, error } = answer
    if (expected === undefined) {
      const cause = 'cannot be compared: the flags file cannot be read, or flagd refuses it'
      const silent = reading === undefined
      const refuses = reading?.refused?.reason ?? ''
      return { process, agrees: false, silent, cause: error || cause, refuses, onShare: null }
    }
    const verdict = judgeProcess(answer, { flag: this.#flag, expected })
    const { agrees, silent, cause, refuses, on, probes } = verdict
    const onShare = on === undefined || probes === undefined ? null : on / probes
    return { process, agrees, silent, cause, refuses, onShare }
  }
}
