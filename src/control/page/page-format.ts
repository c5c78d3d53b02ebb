const dash = '\u2013'

/** `12`, `1,234` or `0.4` */
export function rate(value: number | null | undefined): string {
  if (value === null || value === undefined) return dash
  if (value === 0) return '0'
  return value < 10 ? value.toFixed(1) : Math.round(value).toLocaleString('en-US')
}

/** A share of 0 to 1 as per cent: `0.12 %`, `98.4 %`. */
export function share(value: number | null | undefined): string {
  return value === null || value === undefined ? dash : `${digits(value * 100)} %`
}

/** Per cent with the decimals that were set: `12.5 %`. */
export function percentText(value: number | null | undefined): string {
  return value === null || value === undefined ? dash : `${Number(value.toFixed(3))} %`
}

/** `0.31 ms`, `41 ms`, `2.5 s` */
export function ms(value: number | null | undefined): string {
  if (value === null || value === undefined) return dash
  return value >= 1000 ? `${digits(value / 1000)} s` : `${digits(value)} ms`
}

/** Milliseconds as a whole number: what a stopwatch shows. */
export function wholeMs(value: number): string {
  return `${Math.round(value).toLocaleString('en-US')} ms`
}

export function digits(value: number): string {
  const size = Math.abs(value)
  if (size === 0) return '0'
  if (size < 0.01) return value.toFixed(3)
  if (size < 1) return value.toFixed(2)
  return size < 100 ? value.toFixed(1) : value.toFixed(0)
}

/** `Nov 26` */
export function day(at: number): string {
  return new Date(at).toLocaleDateString('en-US', {
    month: 'short',
    day: 'numeric',
    timeZone: 'UTC',
  })
}

/** `just now`, `4 min ago`, `3 h ago`, `2 d ago` */
export function agoText(at: number, now: number): string {
  const seconds = Math.max(0, Math.round((now - at) / 1000))
  if (seconds < 5) return 'just now'
  if (seconds < 90) return `${seconds} s ago`
  if (seconds < 5400) return `${Math.round(seconds / 60)} min ago`
  if (seconds < 129_600) return `${Math.round(seconds / 3600)} h ago`
  return `${Math.round(seconds / 86_400)} d ago`
}

/** How strong evidence is, as odds: `14 : 1`. */
export function odds(logEvidence: number): string {
  const value = Math.exp(Math.max(0, Math.min(logEvidence, 20)))
  if (logEvidence > Math.log(9999)) return '> 9,999 : 1'
  return `${value < 10 ? Number(value.toFixed(1)) : Math.round(value).toLocaleString('en-US')} : 1`
}
