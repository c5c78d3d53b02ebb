import type { OptionTable } from './command.ts'

/** The parts of a command that a shell needs. */
export interface Completable {
  readonly name: string
  readonly summary: string
  readonly options: OptionTable
}

export type Shell = 'bash' | 'zsh' | 'fish'

/** The completion script of a shell. Option values that are files complete as files. */
export const completions: Readonly<Record<Shell, (commands: readonly Completable[]) => string>> = {
  bash(commands) {
    const cases = commands.map(({ name, options }) => `    ${name}) words="${words(options)}" ;;`)
    return `_switchback() {
  local word="\${COMP_WORDS[COMP_CWORD]}" words=""
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${commands.map(({ name }) => name).join(' ')}" -- "$word"))
    return
  fi
  case "\${COMP_WORDS[1]}" in
${cases.join('\n')}
  esac
  case "$word" in
    -*) COMPREPLY=($(compgen -W "$words" -- "$word")) ;;
    *) COMPREPLY=($(compgen -f -- "$word")) ;;
  esac
}
complete -o filenames -F _switchback switchback
`
  },
  zsh(commands) {
    const names = commands.map(({ name, summary }) => `    ${single(`${name}:${summary}`)}`)
    const cases = commands.map(({ name, options }) => {
      const specs = Object.entries(options).map(([option, { type, help, multiple }]) => {
        const text = help.replace(/[[\]:]/g, ' ')
        const again = multiple === true ? '*' : ''
        return single(`${again}--${option}[${text}]${type === 'string' ? ':value:_files' : ''}`)
      })
      return `    ${name}) _arguments ${specs.join(' ')} '*:file:_files' ;;`
    })
    return `#compdef switchback
_switchback() {
  local -a names
  names=(
${names.join('\n')}
  )
  if (( CURRENT == 2 )); then
    _describe command names
    return
  fi
  local name=$words[2]
  shift words
  (( CURRENT-- ))
  case $name in
${cases.join('\n')}
  esac
}
compdef _switchback switchback
`
  },
  fish(commands) {
    const lines = commands.flatMap(({ name, summary, options }) => [
      `complete -c switchback -n __fish_use_subcommand -f -a ${name} -d ${single(summary)}`,
      ...Object.entries(options).map(([option, { type, short, help }]) => {
        const letter = short === undefined ? '' : ` -s ${short}`
        const value = type === 'string' ? ' -r' : ''
        return `complete -c switchback -n '__fish_seen_subcommand_from ${name}' -l ${option}${letter}${value} -d ${single(help)}`
      }),
    ])
    return `${lines.join('\n')}\n`
  },
}

function words(options: OptionTable): string {
  return [...Object.keys(options).map((name) => `--${name}`), '--help'].join(' ')
}

/** In single quotes, as all three shells read them. */
function single(text: string): string {
  return `'${text.replaceAll("'", `'"'"'`)}'`
}
