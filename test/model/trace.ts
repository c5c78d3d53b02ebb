import type { TraceEvent } from '../simulation/machine.ts'
import { ALL_RULES, type Client, Model, type Operation, type Rules } from './protocol.ts'

/** Steps of the model that no store sees. */
const SILENT =
  /asks the ledger|is not used|does not fill|looks whether|does without R|notes that|settles|loads v|is acknowledged|joins/u

/**
 * Whether what a run of the shipped code did at the stores is a run of the model: the model's states that fit are
 * carried from event to event. One client a process, no command lost.
 *
 * @returns the events up to the first that no state of the model allows; empty: all fit
 */
export function fits(trace: readonly TraceEvent[], rules: Partial<Rules> = {}): readonly string[] {
  const model = new Model(
    { ...ALL_RULES, ...rules },
    { clients: clientsOf(trace), files: null, crossing: true, outs: 4 },
  )
  let states = new Map([[JSON.stringify(model.initial()), model.initial()]])
  const told: string[] = []
  for (const event of trace) {
    const wanted = labelOf(event)
    told.push(`${event.process} ${event.what} ${event.place} ${event.value}`)
    if (wanted === undefined) continue
    const next: typeof states = new Map()
    const seen = new Set(states.keys())
    const open = [...states.values()]
    for (let state = open.pop(); state !== undefined; state = open.pop()) {
      for (const { label, state: reached } of model.steps(state)) {
        const key = JSON.stringify(reached)
        if (wanted.test(label)) next.set(key, reached)
        // A read's last step returns: that it ended needs no step of its own.
        else if (SILENT.test(label) && !seen.has(key)) {
          seen.add(key)
          open.push(reached)
        }
      }
    }
    if (next.size === 0) return told
    states = next
  }
  return []
}

function clientsOf(trace: readonly TraceEvent[]): Client[] {
  const processes = [...new Set(trace.map(({ process }) => process))].toSorted()
  return processes.map((name, process) => {
    const begun = trace.filter((event) => event.process === name && event.what === 'begins')
    return {
      process,
      does: begun.map(({ value }): Operation =>
        value === 'getOrSet' ? 'read' : (value as Operation),
      ),
      sides: begun.map(({ place }) => (place === 'F' ? 0 : 1)),
    }
  })
}

/** The model's label for an event; undefined for what the model does in one step with another. */
function labelOf({ process, what, place, value }: TraceEvent): RegExp | undefined {
  const who = `^${process}: `
  // The model's origin begins at v1.
  const version = Number(/\.v(\d+)/u.exec(value)?.[1] ?? Number.NaN) + 1
  switch (what) {
    case 'begins':
      return new RegExp(
        `${who}(?:the origin is at .*|a read on ${place} )starts|${who}the origin.*on ${place} starts`,
        'u',
      )
    case 'reads':
      return new RegExp(
        `${who}reads ${place} = ${value === '' ? '(?:nothing|a tombstone)' : `v${version}`}`,
        'u',
      )
    case 'marks':
      return new RegExp(`${who}(?:repays: )?${place} := tombstone`, 'u')
    case 'puts':
    case 'refused':
      return new RegExp(`${who}(?:${place} := v${version}|fills ${place} with v${version})`, 'u')
    case 'ends':
      return undefined
    default:
      throw new Error(`no such event: ${String(what)}`)
  }
}
