import { ANY } from '../backend.ts'
import { NEVER } from '../cell.ts'
import type { Envelope } from '../envelope.ts'
import { isCluster, type RedisClient } from './client.ts'
import { isReadOnly, redisError } from './errors.ts'
import { OUTCOME, PUT_SCRIPT, runScript, type Script } from './scripts.ts'
import type { Servers } from './servers.ts'
import { TurnCork } from './turn-cork.ts'

/** Runs the scripts with a deadline by the clock of the server that they run on. */
export class Scripts {
  readonly #client: RedisClient
  readonly #servers: Servers
  readonly #ttlArgument: string
  readonly #cork: TurnCork

  constructor(client: RedisClient, servers: Servers, tombstoneTtl: number) {
    this.#client = client
    this.#servers = servers
    this.#ttlArgument = String(Math.ceil(tombstoneTtl))
    this.#cork = new TurnCork(client)
  }

  /**
   * When only the estimate of the server's clock was behind, the refusal itself corrects it, and the
   * rest of the time is tried once more.
   *
   * @param condition the expected token, or for a tombstone the time before which it is too early
   * @returns one of `OUTCOME`
   */
  async run(
    script: Script,
    name: string,
    { head, tail }: Envelope,
    within: number,
    condition: string,
  ): Promise<number> {
    const startedAt = performance.now()
    const known = this.#servers.of(name)
    // The token that it expects may have come from the server's former life.
    const doubtful = known?.clock.known === true && !known.trusted
    if (doubtful && script === PUT_SCRIPT && condition !== ANY) {
      await this.#servers.trusted(name)
      return OUTCOME.refused
    }
    const usable = known?.clock.known === true && !known.doubted
    const server = usable ? known : await this.#servers.trusted(name)
    for (let attempt = 1; ; attempt++) {
      const sentAt = performance.now()
      const left = within - (sentAt - startedAt)
      const deadline = String(Math.min(server.clock.now() + left, NEVER))
      const [first, second] = script === PUT_SCRIPT ? [condition, deadline] : [deadline, condition]
      try {
        this.#cork.hold()
        const answer = await runScript(
          this.#client,
          script,
          name,
          first,
          second,
          head,
          tail,
          this.#ttlArgument,
        )
        server.clock.learn(answer.serverTime, sentAt)
        const inTime = performance.now() - startedAt < within
        if (answer.outcome !== OUTCOME.late || attempt > 1 || !inTime) return answer.outcome
      } catch (error) {
        this.#leaveIfDemoted(error)
        throw redisError(error)
      }
    }
  }

  /** A master that was demoted by hand keeps its connections, though the address names another by now. */
  #leaveIfDemoted(error: unknown): void {
    if (isReadOnly(error) && !isCluster(this.#client)) this.#client.disconnect(true)
  }
}
