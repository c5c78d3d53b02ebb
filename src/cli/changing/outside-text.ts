import type { HistoryEntry } from '../../rollout/index.ts'
import { percent } from '../framework/format.ts'

/** `by hand: 95 % -> 70 %`, and which users it moved who should have stayed. */
export function outsideText({ flag, from, to, warning }: HistoryEntry): string {
  if (flag === '') return 'the file was edited by hand or by another tool'
  const move = from === to ? `still ${percent(to)}` : `${percent(from)} -> ${percent(to)}`
  return `by hand: ${move}${warning === undefined ? '' : `; ${warning}`}`
}
