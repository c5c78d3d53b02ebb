import type { ScriptRun } from '../run-scripts.ts'
import { OUTCOME, type Script, scriptAnswer } from '../scripts.ts'
import type { Server } from '../servers/server.ts'
import { TurnRuns, type TurnRunsParts } from './turn-runs.ts'

/** Conditional writes of one turn in one command: each has the outcome that `Scripts.run` would have. */
export class TurnPuts {
  readonly #server: Server
  readonly #runs: TurnRuns

  constructor(script: Script, parts: Omit<TurnRunsParts, 'answered'>) {
    this.#server = parts.server
    const answered = (replies: readonly string[], sentAt: number): Promise<void> =>
      this.#learn(replies, sentAt)
    this.#runs = new TurnRuns(script, { ...parts, answered })
  }

  /** @returns one of `OUTCOME`, never `OUTCOME.era` */
  async run(run: Omit<ScriptRun, 'script'>): Promise<number> {
    const { name, beside, envelope, within, condition, era } = run
    const startedAt = performance.now()
    const server = this.#server
    if (!server.trusted) await server.ask()
    const present = server.cellEra
    if (era !== undefined && era !== '' && era !== present) return OUTCOME.refused
    const { head, tail } = envelope
    const left = within - (performance.now() - startedAt)
    const deadline = server.clock.now() + left
    const names = [name]
    const args = [condition, head, tail]
    if (beside !== undefined) {
      names.push(beside.name)
      args.push(beside.text)
    }
    const units = (beside?.text ?? tail).length
    const reply = await this.#runs.run({ names, args, units, deadline, era: present })
    const { outcome } = scriptAnswer(reply)
    return outcome === OUTCOME.era ? OUTCOME.refused : outcome
  }

  /** From the last answer that has the time. */
  async #learn(replies: readonly string[], sentAt: number): Promise<void> {
    const answers = replies.map(scriptAnswer).filter(({ serverTime }) => serverTime > 0)
    const last = answers.at(-1)
    if (last !== undefined) this.#server.learn(last.serverTime, sentAt)
    const isOver = answers.some(({ outcome }) => outcome === OUTCOME.era)
    if (isOver || !this.#server.trusted) await this.#server.ask()
  }
}
