import { ANY } from '../backend.ts'
import { NEVER } from '../cell.ts'
import type { Envelope } from '../envelope.ts'
import type { RedisClient } from './connection/redis-client.ts'
import { evaluate, OUTCOME, type Script, scriptAnswer } from './scripts.ts'
import type { Servers } from './servers/servers.ts'
import { TurnCork } from './connection/turn-cork.ts'

export interface ScriptRun {
  readonly script: Script
  readonly name: string
  /** The key of the value, where that has one of its own, and the value if one is written. */
  readonly beside?: { readonly name: string; readonly text: string } | undefined
  readonly envelope: Envelope
  readonly within: number
  /** The expected token, or for a tombstone the time before which it is too early. */
  readonly condition: string
  /** The era in which the expected token was seen. @default the present one */
  readonly era?: string | undefined
}

/** Runs the scripts with a deadline by the clock of the server that they run on. */
export class Scripts {
  readonly #client: RedisClient
  readonly #servers: Servers
  readonly #tombstoneTtl: () => number
  readonly #failure: (error: unknown) => Error
  readonly #cork: TurnCork

  /** @param failure what a refused command is told as */
  constructor(
    client: RedisClient,
    servers: Servers,
    tombstoneTtl: () => number,
    failure: (error: unknown) => Error,
  ) {
    this.#client = client
    this.#failure = failure
    this.#servers = servers
    this.#tombstoneTtl = tombstoneTtl
    this.#cork = new TurnCork(client)
  }

  /**
   * When the estimate of the server's clock was behind, the refusal itself corrects it, and the rest of
   * the time is used for one more attempt. The same holds for another era. Not for a conditional write:
   * the clock may have been set ahead, past the tombstone that would have refused it.
   *
   * @returns one of `OUTCOME`, never `OUTCOME.era`
   */
  async run({
    script,
    name,
    beside,
    envelope,
    within,
    condition,
    era,
  }: ScriptRun): Promise<number> {
    const keys =
      beside === undefined
        ? [name, ...this.#servers.stateKeys]
        : [name, beside.name, ...this.#servers.stateKeys]
    const startedAt = performance.now()
    const conditional = script.puts === true && condition !== ANY
    const known = this.#servers.of(name)
    const server = known?.trusted === true ? known : await this.#servers.trusted(name)
    for (let attempt = 1; ; attempt++) {
      const sentAt = performance.now()
      const left = within - (sentAt - startedAt)
      const deadline = String(Math.min(server.clock.now() + left, NEVER))
      const [first, second] = script.puts === true ? [condition, deadline] : [deadline, condition]
      const present = server.cellEra
      if (conditional && era !== undefined && era !== '' && era !== present) return OUTCOME.refused
      try {
        this.#cork.hold()
        const { head, tail } = envelope
        const args = [first, second, head, tail, String(this.#tombstoneTtl()), present]
        if (beside !== undefined) args.push(beside.text)
        const answer = scriptAnswer(await evaluate(this.#client, script, keys, args))
        server.learn(answer.serverTime, sentAt)
        const again = attempt === 1 && !conditional && performance.now() - startedAt < within
        if (answer.outcome === OUTCOME.era || !server.trusted) await server.ask()
        if (answer.outcome === OUTCOME.era) {
          if (!again) return OUTCOME.refused
        } else if (answer.outcome !== OUTCOME.late || !again) return answer.outcome
      } catch (error) {
        throw this.#failure(error)
      }
    }
  }
}
