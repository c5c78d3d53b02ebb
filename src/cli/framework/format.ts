import { relative } from 'node:path'
import type { Output } from './command.ts'
import type { Style } from './style.ts'

/** `1512` as `1,512`. */
export function count(value: number): string {
  return value.toLocaleString('en-US')
}

/** `12.5 %`, or `unclear` without a share. */
export function percent(value: number | undefined): string {
  return value === undefined ? 'unclear' : `${value} %`
}

/** Milliseconds without false precision. */
export function milliseconds(value: number | undefined): string {
  if (value === undefined) return '-'
  return `${value < 10 ? value.toFixed(1) : count(Math.round(value))} ms`
}

/** How long ago, in the largest useful unit. */
export function ago(time: string, now: number = Date.now()): string {
  const seconds = Math.max(0, Math.round((now - Date.parse(time)) / 1000))
  if (seconds < 60) return `${seconds} s ago`
  if (seconds < 3600) return `${Math.round(seconds / 60)} min ago`
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h ago`
  return `${Math.round(seconds / 86_400)} days ago`
}

/** Prints `label  text` lines, aligned; further lines of a text are indented under the first. */
export function createRows(stdout: Output, style: Style): (label: string, text: string) => void {
  const width = 8
  return (label, text) => {
    const [first = '', ...rest] = text.split('\n')
    stdout.write(`  ${style.dim(label.padEnd(width))}  ${first}\n`)
    for (const line of rest) stdout.write(`  ${' '.repeat(width)}  ${line}\n`)
  }
}

/** One JSON document on one line. */
export function printJson(stdout: Output, value: object): void {
  stdout.write(`${JSON.stringify(value)}\n`)
}

/** A path relative to the working directory, when that is shorter. */
export function displayPath(path: string): string {
  const here = relative('', path)
  return here !== '' && !here.startsWith('..') ? here : path
}
