import { quote } from '../../../errors.ts'
import { type Command, exitCode, usageError } from '../../framework/command.ts'
import { commands } from '../../commands.ts'
import { completions } from '../../framework/completion-script.ts'
import { defineCommand } from '../../framework/define.ts'

export const command: Command = defineCommand({
  usage: 'completion SHELL',
  summary: 'prints the completion script for bash, zsh or fish',
  options: {},
  examples: [
    ['source <(switchback completion bash)', 'for this shell; add it to ~/.bashrc to keep it'],
    ['switchback completion fish > ~/.config/fish/completions/switchback.fish', 'for fish'],
  ],
  positionals: 1,
  async run({ positionals, stdout }) {
    const [shell = ''] = positionals
    if (shell !== 'bash' && shell !== 'zsh' && shell !== 'fish') {
      throw usageError(`completion for ${quote(shell)} is not supported`, 'name bash, zsh or fish')
    }
    const all = await Promise.all(
      Object.entries(commands).map(async ([name, { summary, load }]) => {
        const loaded = await load()
        return { name, summary, options: loaded.command.options, usage: loaded.command.usage }
      }),
    )
    stdout.write(completions[shell](all))
    return exitCode.done
  },
})
