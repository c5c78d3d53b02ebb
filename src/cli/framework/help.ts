import type { Command, OptionTable } from './command.ts'
import type { Style } from './style.ts'

/** The help of one command: usage, what it does, options, examples. */
export function commandHelp(command: Command, style: Style): string {
  const blocks = [`${style.bold('switchback')} ${command.usage}\n  ${command.summary}`]
  if (command.details !== undefined) blocks.push(indent(command.details))
  const rows = optionRows(command.options)
  if (rows.length > 0) blocks.push(`${style.bold('Options')}\n${columns(rows)}`)
  const examples = command.examples.map(([line, what]) => `  ${line}\n      ${style.dim(what)}`)
  blocks.push(`${style.bold('Examples')}\n${examples.join('\n')}`)
  return `${blocks.join('\n\n')}\n`
}

/** The help of `switchback` itself: the commands by group. */
export function overview(
  groups: readonly (readonly [
    title: string,
    rows: readonly (readonly [name: string, summary: string])[],
  ])[],
  style: Style,
): string {
  const width = Math.max(...groups.flatMap(([, rows]) => rows.map(([name]) => name.length)))
  const blocks = groups.map(([title, rows]) => `${style.bold(title)}\n${columns(rows, width)}`)
  return [
    `${style.bold('switchback')} <command> [options]\n  Put a new backend behind a flag, and always be able to take it back.`,
    ...blocks,
    `${style.bold('Examples')}\n  switchback status\n  switchback set 25`,
    'Details: switchback <command> --help. Exit codes: 0 done, 1 refused or found wrong,\n2 bad usage, 3 not confirmed in time.',
  ]
    .join('\n\n')
    .concat('\n')
}

function optionRows(options: OptionTable): [string, string][] {
  return Object.entries(options).map(([name, { short, type, value, help }]) => [
    `${short === undefined ? '' : `-${short}, `}--${name}${type === 'string' ? ` ${value ?? 'VALUE'}` : ''}`,
    help,
  ])
}

/** Two aligned columns, indented by two. */
export function columns(
  rows: readonly (readonly [string, string])[],
  least = 0,
  indentation = '  ',
): string {
  const width = Math.max(least, ...rows.map(([left]) => left.length))
  return rows.map(([left, right]) => `${indentation}${left.padEnd(width)}  ${right}`).join('\n')
}

function indent(text: string): string {
  return text
    .split('\n')
    .map((line) => (line === '' ? '' : `  ${line}`))
    .join('\n')
}
