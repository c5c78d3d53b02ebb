/**
 * How the cost of an operation grows: with what is in flight, with entries, with processes on one file store, with
 * machines on one Redis; and what the first write of an outage costs. Not part of a run of everything: it takes minutes.
 */
import { entries } from '../growth/entries.mjs'
import { inFlight } from '../growth/in-flight.mjs'
import { machines, pairs } from '../growth/machines.mjs'
import { outage } from '../growth/outage.mjs'
import { processes } from '../growth/processes.mjs'

const PARTS = { inFlight, entries, processes, machines, pairs, outage }

/** More say little more, and the whole would take a quarter of an hour. */
const MOST_ROUNDS = 3

export async function measure({ rounds }, part) {
  const tables = await PARTS[part]({ rounds: Math.min(rounds, MOST_ROUNDS) })
  return { tables: [tables].flat(), aims: [] }
}
