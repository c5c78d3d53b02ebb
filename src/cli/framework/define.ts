import { parseArgs } from 'node:util'
import { closestName } from '../../closest.ts'
import { isSwitchbackError, quote } from '../../errors.ts'
import {
  type Command,
  type CommandIo,
  exitCode,
  type Invocation,
  type OptionTable,
  type OptionValues,
  usageError,
} from './command.ts'
import { explainFault } from './faults.ts'
import { commandHelp } from './help.ts'
import { createStyle } from './style.ts'

/** The definition of a {@link Command}, for {@link defineCommand}. */
export interface CommandSpec<T extends OptionTable> {
  readonly usage: string
  readonly summary: string
  readonly details?: string
  readonly options: T
  readonly examples: readonly (readonly [string, string])[]
  /**
   * How many positional arguments it takes at most.
   * @default 0
   */
  readonly positionals?: number
  run(invocation: Invocation<T>): Promise<number>
}

/** Wraps a command with its argument parsing, `--help`, and errors as people and machines read them. */
export function defineCommand<const T extends OptionTable>(spec: CommandSpec<T>): Command {
  const command: Command = {
    usage: spec.usage,
    summary: spec.summary,
    ...(spec.details === undefined ? {} : { details: spec.details }),
    options: spec.options,
    examples: spec.examples,
    async execute(argv, io) {
      if (wantsHelp(argv)) {
        io.stdout.write(commandHelp(command, io.style))
        return exitCode.done
      }
      const json = argv.includes('--json') && 'json' in spec.options
      const plain: CommandIo = json ? { ...io, style: createStyle(false) } : io
      try {
        const { values, positionals } = await parse(spec, argv)
        return await spec.run({ ...plain, values, positionals })
      } catch (fault) {
        const error = explainFault(fault, { argv, signal: io.signal })
        if (json && isSwitchbackError(error)) {
          const { code, message, hint } = error
          io.stdout.write(`${JSON.stringify({ ok: false, error: { code, message, hint } })}\n`)
        }
        throw error
      }
    },
  }
  return command
}

function wantsHelp(argv: readonly string[]): boolean {
  const end = argv.indexOf('--')
  const own = end === -1 ? argv : argv.slice(0, end)
  return own.includes('--help') || own.includes('-h')
}

async function parse<T extends OptionTable>(
  spec: CommandSpec<T>,
  argv: readonly string[],
): Promise<{ values: OptionValues<T>; positionals: string[] }> {
  const name = spec.usage.split(' ')[0] ?? ''
  const see = `see switchback ${name} --help`
  const { tokens, values, positionals: plain } = lenient(spec, argv)
  const positionals = [...plain, ...negatives(spec, argv, tokens)]
  for (const token of tokens) {
    if (token.kind !== 'option') continue
    const option = spec.options[token.name]
    if (option === undefined && negativeNumber.test(argv[token.index] ?? '')) continue
    if (option === undefined) {
      const near = closestName(token.name, Object.keys(spec.options))
      const remedy = near === undefined ? see : `did you mean --${near}? ${see}`
      throw usageError(`unknown option ${quote(token.rawName)} for ${name}`, remedy)
    }
    if (option.type === 'string' && (token.value === undefined || looksLikeOption(token))) {
      throw usageError(
        `option --${token.name} needs a value`,
        `write --${token.name}=${option.value ?? 'VALUE'}`,
      )
    }
    if (option.type === 'boolean' && token.value !== undefined) {
      throw usageError(`option --${token.name} takes no value`, `write --${token.name} alone`)
    }
  }
  const extra = positionals[spec.positionals ?? 0]
  if (extra !== undefined) throw usageError(`${name} does not take ${quote(extra)}`, see)
  const complete: Record<string, unknown> = { ...values }
  for (const [key, option] of Object.entries(spec.options)) {
    complete[key] ??= option.type === 'boolean' ? false : option.multiple === true ? [] : undefined
  }
  return { values: complete as OptionValues<T>, positionals }
}

/** Node's strict mode is off, because its errors name no remedy. */
function lenient(spec: CommandSpec<OptionTable>, argv: readonly string[]): LenientResult {
  const options: Record<
    string,
    { type: 'string' | 'boolean'; short?: string; multiple?: boolean }
  > = {}
  for (const [key, { type, short, multiple }] of Object.entries(spec.options)) {
    options[key] = {
      type,
      ...(short === undefined ? {} : { short }),
      ...(multiple === undefined ? {} : { multiple }),
    }
  }
  return parseArgs({
    args: [...argv],
    options,
    strict: false,
    allowPositionals: true,
    tokens: true,
  }) as LenientResult
}

interface OptionToken {
  readonly kind: 'option'
  /** Where in the arguments. */
  readonly index: number
  readonly name: string
  readonly rawName: string
  readonly value?: string | undefined
  readonly inlineValue?: boolean | undefined
}

interface LenientResult {
  readonly tokens: readonly (OptionToken | { readonly kind: 'positional' | 'option-terminator' })[]
  readonly values: Readonly<Record<string, unknown>>
  readonly positionals: string[]
}

/** `--file --json`: the value was forgotten. `--file=-x`, `--users -` and `--port -1` are meant. */
function looksLikeOption(token: OptionToken): boolean {
  const value = token.value ?? ''
  return token.inlineValue !== true && /^-./.test(value) && !negativeNumber.test(value)
}

const negativeNumber = /^-\d+(\.\d+)?%?$/

/**
 * `set -5` is a value, which the command can refuse with a reason, and not a bundle of short
 * options.
 */
function negatives(
  spec: CommandSpec<OptionTable>,
  argv: readonly string[],
  tokens: LenientResult['tokens'],
): string[] {
  const places = new Set(
    tokens.flatMap((token) =>
      token.kind === 'option' && spec.options[token.name] === undefined ? [token.index] : [],
    ),
  )
  return [...places].flatMap((place) => {
    const text = argv[place] ?? ''
    return negativeNumber.test(text) ? [text] : []
  })
}
