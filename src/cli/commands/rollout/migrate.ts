import { setTimeout as sleep } from 'node:timers/promises'
import { LICENCE_MS } from '../../../cache/index.ts'
import { quote } from '../../../errors.ts'
import { processSources } from '../../../scrape/index.ts'
import { type Command, type Environment, exitCode, usageError } from '../../framework/command.ts'
import { defineCommand } from '../../framework/define.ts'
import { createRows, printJson } from '../../framework/format.ts'
import { laggardsOf, STEPS } from '../../migrating/steps.ts'
import { findProcesses, processOptions } from '../../changing/processes-option.ts'
import { doubtAbout, knownStates } from '../../stores/known-state.ts'
import { openRedis } from '../../stores/open-redis.ts'
import {
  type NamedRedis,
  namedRedis,
  redisOptions,
  type RedisValues,
} from '../../stores/options.ts'

/** A little more than the life of a licence: see docs/guarantees.md, `clear()`. */
const SETTLED_MS = LICENCE_MS + 200

export const command: Command = defineCommand({
  usage: 'migrate enter|leave|return [options]',
  summary: 'does a step into or out of a migration, once every process is ready for it',
  details: `Asks every process where it stands, and refuses with their names while one is not ready (exit 1; 3 when a
process does not answer).

  enter   before the first user: every process has the switch, and none sends anybody to the new side. Begins
          a new era on the new side (--redis), and on the old one if that is a Redis too (--old-redis), so
          that nothing that was left there is ever served. An old side of plain values keeps its era: what
          other programs have there is served from the first minute
  leave   before the switch is taken out: every process has retire: 'off', and nothing is pending
  return  after a process ran without the switch: every process has the switch with retire: 'off' again. Begins
          a new era on the old side (--old-redis); if that is files, delete their directory with the next deploy.
          Plain values stay for programs without the switch; those with it load each key once

Name each Redis as the service has it: a side of plain values with --values plain or --old-values plain. A Redis that
no such switch has used is refused (exit 2): a new era there would have no effect.

Name every process: with --metrics, a --prometheus, the guard's --plan, or in SWITCHBACK_METRICS. docs/roll-out.md
says what to deploy between the steps.

--json prints ok, command, step, known, ready, lagging [{process, cause}] and renewed.`,
  options: {
    ...processOptions,
    flag: { type: 'string', value: 'NAME', help: 'the flag (use-redis, or SWITCHBACK_FLAG)' },
    ...redisOptions,
    json: { type: 'boolean', help: 'print JSON' },
  },
  examples: [
    [
      'switchback migrate enter --metrics http://app.shop:3002/metrics --redis redis://cache:6379',
      'before the first user',
    ],
    [
      'switchback migrate return --old-redis redis://cache:6379 --old-values plain',
      "the old side is redisCache({ values: 'plain' })",
    ],
    ['switchback migrate leave', 'before the first process without the switch'],
  ],
  positionals: 1,
  async run({ values, positionals, env, stdout, style, signal }) {
    const [name = ''] = positionals
    const step = Object.hasOwn(STEPS, name) ? STEPS[name] : undefined
    if (step === undefined) {
      throw usageError(`${quote(name)} is not a step`, 'write migrate enter, leave or return')
    }
    const stores = storesOf(step.renews, values, env)
    const processes = await findProcesses(values, env)
    if (processes === undefined) {
      throw usageError(
        'no process is named, so it is not known whether all are ready',
        'name each with --metrics http://HOST:3002/metrics or in SWITCHBACK_METRICS',
      )
    }
    const flag = values.flag ?? env['SWITCHBACK_FLAG'] ?? 'use-redis'
    const sources = await processSources(processes)
    const answers = (await Promise.all(sources.map((one) => one.read(flag, signal)))).flat()
    const lagging = laggardsOf(answers, step)
    const ready = answers.length - lagging.length
    const ok = answers.length > 0 && lagging.length === 0
    if (ok) await beginEras(stores)
    const told = { step: name, known: answers.length, ready }
    if (values.json) {
      const renewed = ok ? stores.length : 0
      const causes = lagging.map(({ process, cause }) => ({ process, cause }))
      printJson(stdout, { ok, command: 'migrate', ...told, lagging: causes, renewed })
    } else {
      const row = createRows(stdout, style)
      stdout.write(`${style.bold(`migrate ${name}`)}  ${flag}\n`)
      const head = `${ready} of ${answers.length} ${answers.length === 1 ? 'process is' : 'processes are'} ready`
      const causes = lagging.map(({ process, cause }) => `${process} ${cause}`)
      row('apps', ok ? style.green(head) : style.red([head, ...causes].join('\n')))
      if (ok && stores.length > 0) row('era', eraText(stores))
      row(ok ? 'next' : 'refused', ok ? step.next : step.remedy)
    }
    if (ok) return exitCode.done
    return lagging.some(({ silent }) => !silent) ? exitCode.refused : exitCode.unconfirmed
  },
})

/** Those that begin a new era. */
function storesOf(
  renews: 'old' | 'new' | undefined,
  values: RedisValues,
  env: Environment,
): readonly NamedRedis[] {
  const { on, off } = namedRedis(values, env)
  if (renews === undefined) return []
  const old = off === undefined ? [] : [off]
  if (renews === 'old') return old
  if (on === undefined) {
    throw usageError('the Redis of the new side is not named', 'name it with --redis or REDIS_URL')
  }
  // In a new era what other programs have there would count as deleted, and each key be loaded at once.
  return [on, ...old.filter(({ settings }) => settings.values !== 'plain')]
}

/** From now on nothing that the stores have is used, by anybody who has the switch. */
async function beginEras(stores: readonly NamedRedis[]): Promise<void> {
  const clusters: boolean[] = []
  for (const store of stores) {
    const { isCluster, found } = await knownStates(store)
    const doubt = doubtAbout(store, found)
    if (doubt !== undefined) {
      throw usageError(`no new era was begun: ${doubt.what}`, doubt.remedy)
    }
    clusters.push(isCluster)
  }
  for (const [index, store] of stores.entries()) await beginEra(store, clusters[index] === true)
}

async function beginEra(store: NamedRedis, isCluster: boolean): Promise<void> {
  const { backend, close } = openRedis(store, isCluster)
  try {
    await backend.ping()
    await backend.renew?.()
    // Until then others may go on in the era before.
    await sleep(SETTLED_MS)
  } finally {
    await backend.close()
    close()
  }
}

/** `a new one on the old side, redis://cache:6379 (plain values)` */
function eraText(stores: readonly NamedRedis[]): string {
  const texts = stores.map(({ side, shown, settings }) => {
    const kind = settings.values === 'plain' ? ' (plain values)' : ''
    return `${side === 'off' ? 'the old side' : 'the new side'}, ${shown}${kind}`
  })
  return `a new one on ${texts.join('; and on ')}`
}
