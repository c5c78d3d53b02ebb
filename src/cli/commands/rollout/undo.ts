import { changeUndo } from '../../../rollout/index.ts'
import { askOptions, changeJson, changeOptions, runChange } from '../../changing/changing.ts'
import type { Command } from '../../framework/command.ts'
import { defineCommand } from '../../framework/define.ts'
import { processHelp, processOptions } from '../../changing/processes-option.ts'
import { targetOptions } from '../../changing/target.ts'

export const command: Command = defineCommand({
  usage: 'undo [options]',
  summary: 'undoes the last change, as a new change; run it again for the one before',
  details: `Refused when the same place was changed again since, so that no later edit is lost.

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
