import type UPlot from 'uplot'
import type { ControlHistory } from '../../state/state.ts'
import { percentText } from '../page-format.ts'

/**
 * A line for each change: red for a rollback or an edit that moved users who should have stayed,
 * dashed for an edit by hand; on the first chart with its text.
 */
export function drawMarkers(plot: UPlot, changes: ControlHistory, named: boolean): void {
  const { ctx, bbox } = plot
  const style = getComputedStyle(document.documentElement)
  const { min = 0, max = 0 } = plot.scales['x'] ?? {}
  const ratio = devicePixelRatio
  let free = -Infinity
  ctx.save()
  ctx.setLineDash([])
  ctx.textAlign = 'left'
  ctx.textBaseline = 'alphabetic'
  ctx.font = `${11 * ratio}px system-ui, sans-serif`
  for (const change of changes) {
    const at = change.at / 1000
    if (at < (min ?? 0) || at > (max ?? 0)) continue
    const x = Math.round(plot.valToPos(at, 'x', true))
    const back = (change.to ?? 0) < (change.from ?? 0) || change.warning !== ''
    const ink = style.getPropertyValue(back ? '--trouble' : '--soft').trim()
    ctx.strokeStyle = ink
    ctx.fillStyle = ink
    ctx.lineWidth = ratio
    // Dashed: an edit by hand.
    ctx.setLineDash(change.action === 'outside' ? [4 * ratio, 3 * ratio] : [])
    ctx.beginPath()
    ctx.moveTo(x, bbox.top)
    ctx.lineTo(x, bbox.top + bbox.height)
    ctx.stroke()
    if (!named) continue
    const text = markerText(change)
    const { width } = ctx.measureText(text)
    const left =
      x + 4 * ratio + width > bbox.left + bbox.width ? x - width - 4 * ratio : x + 4 * ratio
    if (left < free) continue
    ctx.fillText(text, left, bbox.top + 11 * ratio)
    free = left + width + 6 * ratio
  }
  ctx.restore()
}

function markerText({ action, to }: ControlHistory[number]): string {
  if (action === 'outside') return to === null ? 'by hand' : `${percentText(to)} by hand`
  return to === null ? action : percentText(to)
}
