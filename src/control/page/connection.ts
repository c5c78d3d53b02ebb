import type { ControlHistory, ControlSeries, ControlState } from '../state/state.ts'
import { get } from './api.ts'
import type { PageData } from './charts/data.ts'

export interface ConnectionEvents {
  tick(state: ControlState): void
  history(history: ControlHistory): void
  /** Whether updates arrive; called on every change and once a second while none arrive. */
  live(live: boolean, silentMs: number): void
}

/** Without an update for this long, the page's data is outdated. */
const SILENCE_MS = 4000

/**
 * Listens to the server for as long as the page is open and not hidden. The browser reconnects after a cut; after
 * an invalid answer it gives up, and this does not.
 */
export function connect(data: PageData, events: ConnectionEvents): void {
  let source: EventSource | undefined
  let heard = performance.now()
  let opened = heard
  let live = false

  const setLive = (now: boolean): void => {
    if (now !== live || !now) events.live(now, performance.now() - heard)
    live = now
  }
  const open = (): void => {
    source?.close()
    opened = performance.now()
    source = new EventSource('/api/events')
    source.addEventListener('open', () => void catchUp(data))
    source.addEventListener('tick', (event) => {
      heard = performance.now()
      const state = JSON.parse(event.data as string) as ControlState
      data.push(state.point)
      setLive(true)
      events.tick(state)
    })
    source.addEventListener('history', (event) => {
      events.history(JSON.parse(event.data as string) as ControlHistory)
    })
    source.addEventListener('error', () => setLive(false))
  }
  open()
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden) return open()
    // Nobody looks: the server has one page less to tell.
    source?.close()
    setLive(false)
  })
  setInterval(() => {
    if (document.hidden) return
    const now = performance.now()
    if (now - heard <= SILENCE_MS) return
    setLive(false)
    // A connection may be open and dead: a laptop that slept, a proxy that vanished.
    if (now - opened > SILENCE_MS || source?.readyState === EventSource.CLOSED) open()
  }, 1000)
}

/** Fetches what was missed: everything at first, the gap after a cut. */
async function catchUp(data: PageData): Promise<void> {
  try {
    const series = await get<ControlSeries>(`/api/series?since=${Math.floor(data.last)}`)
    data.merge(series.points)
  } catch {
    // The next tick continues without the gap.
  }
}
