import type { OptionTable } from './command.ts'

/** The parts of a command that a shell needs. */
export interface Completable {
  readonly name: string
  readonly summary: string
  readonly options: OptionTable
  /** What follows the name, e.g. `validate [FILE]`. */
  readonly usage: string
}

export type Shell = 'bash' | 'zsh' | 'fish'

/** The completion script of a shell. Only what is a file completes as one. */
export const completions: Readonly<Record<Shell, (commands: readonly Completable[]) => string>> = {
  bash(commands) {
    const cases = commands.map(({ name, options }) => `    ${name}) words="${words(options)}" ;;`)
    const values = commands.map(
      ({ name, options }) =>
        `    ${name}) files="${optionsWith(options, isFile)}" others="${optionsWith(options, isOther)}" ;;`,
    )
    const places = commands.map(({ name, usage }) => `    ${name}) ${placeInBash(usage)} ;;`)
    return `_switchback() {
  local word="\${COMP_WORDS[COMP_CWORD]}" before="\${COMP_WORDS[COMP_CWORD-1]}" words="" files="" others=""
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${commands.map(({ name }) => name).join(' ')}" -- "$word"))
    return
  fi
  case "\${COMP_WORDS[1]}" in
${cases.join('\n')}
  esac
  case "\${COMP_WORDS[1]}" in
${values.join('\n')}
  esac
  COMPREPLY=()
  if [[ " $files " == *" $before "* ]]; then
    COMPREPLY=($(compgen -f -- "$word"))
    return
  fi
  if [[ " $others " == *" $before "* ]]; then return; fi
  if [[ "$word" == -* ]]; then
    COMPREPLY=($(compgen -W "$words" -- "$word"))
    return
  fi
  case "\${COMP_WORDS[1]}" in
${places.join('\n')}
  esac
}
complete -o filenames -F _switchback switchback
`
  },
  zsh(commands) {
    const names = commands.map(({ name, summary }) => `    ${single(`${name}:${summary}`)}`)
    const cases = commands.map(({ name, options, usage }) => {
      const specs = Object.entries(options).map(
        ([option, { type, help, multiple, value = '' }]) => {
          const text = help.replace(/[[\]:]/g, ' ')
          const again = multiple === true ? '*' : ''
          return single(
            `${again}--${option}[${text}]${type === 'boolean' ? '' : isFile({ type, value }) ? ':file:_files' : ':value: '}`,
          )
        },
      )
      return `    ${name}) _arguments ${specs.join(' ')} ${placeInZsh(usage)} ;;`
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
    const lines = commands.flatMap(({ name, summary, options, usage }) => [
      `complete -c switchback -n __fish_use_subcommand -f -a ${name} -d ${single(summary)}`,
      ...(takesFile(usage)
        ? []
        : [`complete -c switchback -n '__fish_seen_subcommand_from ${name}' -f`]),
      ...(wordsOf(usage) === ''
        ? []
        : [
            `complete -c switchback -n '__fish_seen_subcommand_from ${name}' -a '${wordsOf(usage)}'`,
          ]),
      ...Object.entries(options).map(([option, { type, short, help, value: its = '' }]) => {
        const letter = short === undefined ? '' : ` -s ${short}`
        const value = type === 'boolean' ? '' : isFile({ type, value: its }) ? ' -r -F' : ' -x'
        return `complete -c switchback -n '__fish_seen_subcommand_from ${name}' -l ${option}${letter}${value} -d ${single(help)}`
      }),
    ])
    return `${lines.join('\n')}\n`
  },
}

type Valued = Pick<OptionTable[string], 'type' | 'value'>

/** An option whose value is a file; the placeholder in its help says so. */
function isFile({ type, value = '' }: Valued): boolean {
  return type === 'string' && /^(FILE|DIR|DIRECTORY|PROGRAM)$/.test(value)
}

function isOther(option: Valued): boolean {
  return option.type === 'string' && !isFile(option)
}

function optionsWith(options: OptionTable, wanted: (option: Valued) => boolean): string {
  const names = Object.entries(options).filter(([, option]) => wanted(option))
  return names.map(([name]) => `--${name}`).join(' ')
}

function takesFile(usage: string): boolean {
  return /\bFILES?\b/.test(usage)
}

/** What may stand where no option does: files only where the command takes one. */
function placeInBash(usage: string): string {
  if (takesFile(usage)) return 'COMPREPLY=($(compgen -f -- "$word"))'
  const words = wordsOf(usage)
  return words === '' ? ':' : `COMPREPLY=($(compgen -W "${words}" -- "$word"))`
}

function placeInZsh(usage: string): string {
  if (takesFile(usage)) return "'*:file:_files'"
  const words = wordsOf(usage)
  return words === '' ? "'*: : '" : `'1: :(${words})'`
}

/** The words that a usage line lets one choose from, e.g. `migrate enter|leave|return`. */
function wordsOf(usage: string): string {
  if (usage.includes('SHELL')) return 'bash zsh fish'
  return (/^\S+ ([a-z]+(?:\|[a-z]+)+)/.exec(usage)?.[1] ?? '').replaceAll('|', ' ')
}

function words(options: OptionTable): string {
  return [...Object.keys(options).map((name) => `--${name}`), '--help'].join(' ')
}

/** In single quotes, as all three shells read them. */
function single(text: string): string {
  return `'${text.replaceAll("'", `'"'"'`)}'`
}
