import { changeUndo } from '../../rollout/index.ts'
import { askOptions, changeJson, changeOptions, runChange } from '../changing.ts'
import type { Command } from '../command.ts'
import { defineCommand } from '../define.ts'
import { processHelp, processOptions } from '../processes-option.ts'
import { targetOptions } from '../target.ts'

export const command: Command = defineCommand({
  usage: 'undo [options]',
  summary: 'takes the last change back, as a new change; again, the one before it',
  details: `Refused when what the change wrote no longer stands, so that nobody's later edit is lost.

${processHelp}

${changeJson}`,
  options: { ...targetOptions, ...processOptions, ...changeOptions, ...askOptions },
  examples: [
    ['switchback undo', 'the split as it was before the last change'],
    ['switchback undo --print', 'the file as it would be, without writing'],
  ],
  run: ({ values, ...io }) =>
    runChange({
      name: 'undo',
      io,
      values,
      careful: true,
      yes: values.yes,
      change: (options) => changeUndo(options),
    }),
})
