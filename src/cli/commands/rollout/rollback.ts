import { changeBack } from '../../../rollout/index.ts'
import { askOptions, changeJson, changeOptions, runChange } from '../../changing/changing.ts'
import type { Command } from '../../framework/command.ts'
import { defineCommand } from '../../framework/define.ts'
import { processHelp, processOptions } from '../../changing/processes-option.ts'
import { targetOptions } from '../../changing/target.ts'

export const command: Command = defineCommand({
  usage: 'rollback [options]',
  summary: 'routes everyone to the old side now, and waits until every process confirms it',
  details: `Never prompts. Sets all weights of "on" to 0, and pilots and a default variant of "on" to "off". Where
that cannot be done, or the rule would still fail or send users to the new side, disables the flag and says why:
everyone gets the default of the code, the old side. A disabled flag is taken back already. Starts over when
another editor was faster. If the file says so already and flagd or a process does not
follow, writes the file again with a newer time. switchback undo restores what was before. With --target git a
clone that is behind is fast-forwarded first.

Needs a flags file that flagd accepts. If it is broken, refused or gone, --restore writes the last file that
switchback wrote (<flags file>.last-good), with everyone on the old side, and keeps the broken one as <flags
file>.broken.

${processHelp}

${changeJson}`,
  options: {
    ...targetOptions,
    ...processOptions,
    ...changeOptions,
    yes: { ...askOptions.yes, help: 'as for switchback set; a rollback never asks' },
    'keep-pilots': { type: 'boolean', help: 'leave pilots on the new side' },
    restore: {
      type: 'boolean',
      help: 'replace a flags file that is broken, refused or gone by the last one written',
    },
    disable: {
      type: 'boolean',
      help: 'disable the flag, whatever its rule is',
    },
  },
  examples: [
    ['switchback rollback', 'everyone to the old side, confirmed by flagd'],
    [
      'switchback rollback --metrics http://app.shop:3002/metrics',
      'and by each process at the addresses of app.shop',
    ],
    ['switchback rollback --restore', 'even if the flags file is broken, refused or gone'],
    ['switchback rollback --reason "redis slow" --json', 'with a reason for the history'],
  ],
  run({ values, ...io }) {
    return runChange({
      name: 'rollback',
      io,
      values,
      careful: false,
      yes: true,
      change: (options) =>
        changeBack({
          ...options,
          keepPilots: values['keep-pilots'],
          disable: values.disable,
          restore: values.restore,
        }),
    })
  },
})
