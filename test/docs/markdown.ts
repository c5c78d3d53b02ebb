/** Stands in every page that the tests write. */
export const GENERATED: string =
  '<!-- Generated: `npm run docs:pages` writes this page, and a test compares it. -->'

/** One row of a table; a bar within a cell does not end it. */
export function row(...cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
}

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [row(...head), row(...head.map(() => '---')), ...rows.map((cells) => row(...cells))].join(
    '\n',
  )
}
