import { changeBack } from '../../rollout/index.ts'
import { changeJson, changeOptions, runChange } from '../changing.ts'
import type { Command } from '../command.ts'
import { defineCommand } from '../define.ts'
import { targetOptions } from '../target.ts'

export const command: Command = defineCommand({
  usage: 'rollback [options]',
  summary: 'takes everybody back to off in one go, and tells when the last one was',
  details: `Never asks. Weights of on go to 0; pilots and a default variant that give on go to off. Starts
over when another editor was faster. switchback undo brings the former split back.

Needs a flags file that parses. Where it does not, or is gone, --restore writes the last file that
switchback wrote (<flags file>.last-good), with everybody off, and keeps the broken one as <flags
file>.broken.

${changeJson}`,
  options: {
    ...targetOptions,
    ...changeOptions,
    'keep-pilots': { type: 'boolean', help: 'leave pilots on' },
    restore: {
      type: 'boolean',
      help: 'where the flags file is broken or gone, put the last one written in its place',
    },
    disable: {
      type: 'boolean',
      help: 'disable the flag instead: for rules that are not understood',
    },
  },
  examples: [
    ['switchback rollback', 'everybody back to off, confirmed by flagd'],
    ['switchback rollback --restore', 'although the flags file is broken or gone'],
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
