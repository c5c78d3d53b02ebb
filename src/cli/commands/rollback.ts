import { changeBack } from '../../rollout/index.ts'
import { changeJson, changeOptions, runChange } from '../changing.ts'
import type { Command } from '../command.ts'
import { defineCommand } from '../define.ts'
import { processHelp, processOptions } from '../processes-option.ts'
import { targetOptions } from '../target.ts'

export const command: Command = defineCommand({
  usage: 'rollback [options]',
  summary: 'routes everyone to the old side now, and waits until every process confirms it',
  details: `Never asks. Weights of on go to 0; pilots and a default variant that give on go to off. Starts
over when another editor was faster. Where the file says so already and flagd or a process does not
follow, the file is written again with a newer time. switchback undo brings the former split back.

Needs a flags file that flagd takes. Where it does not parse, flagd refuses it, or it is gone, --restore writes the last file that
switchback wrote (<flags file>.last-good), with everyone on the old side, and keeps the broken one as <flags
file>.broken.

${processHelp}

${changeJson}`,
  options: {
    ...targetOptions,
    ...processOptions,
    ...changeOptions,
    'keep-pilots': { type: 'boolean', help: 'leave pilots on' },
    restore: {
      type: 'boolean',
      help: 'where the flags file is broken, refused or gone, put the last one written in its place',
    },
    disable: {
      type: 'boolean',
      help: 'disable the flag instead: for rules that are not understood',
    },
  },
  examples: [
    ['switchback rollback', 'everyone to the old side, confirmed by flagd'],
    [
      'switchback rollback --metrics http://app.shop:3002/metrics',
      'and by each process at the addresses of app.shop',
    ],
    ['switchback rollback --restore', 'although the flags file is broken, refused or gone'],
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
