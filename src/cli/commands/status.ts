import { type Command, exitCode } from '../command.ts'
import { defineCommand } from '../define.ts'

export const command: Command = defineCommand({
  usage: 'status [options]',
  summary: 'the split, who gets what, and whether flagd serves it',
  options: { json: { type: 'boolean', help: 'print JSON' } },
  examples: [
    ['switchback status', 'the split of use-redis'],
    ['switchback status --json', 'the same for machines'],
  ],
  run: () => Promise.resolve(exitCode.done),
})
