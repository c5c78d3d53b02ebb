import { clock } from '../clock.ts'

/** ` since 07:52:35 UTC`; `''` when nobody knows. */
export function sinceText(since: number | null): string {
  return since === null ? '' : ` since ${clock(since)} UTC`
}
