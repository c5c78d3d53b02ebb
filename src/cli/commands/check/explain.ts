import { messageOf, quote } from '../../../errors.ts'
import {
  type Bucket,
  createOfrepClient,
  type Expectation,
  expectationOf,
  explain,
  type Explanation,
  type FlagsDocument,
  loadFlags,
  type UserContext,
} from '../../../rollout/index.ts'
import { type ProcessAnswer, processSources } from '../../../scrape/index.ts'
import type { Side } from '../../../side.ts'
import { type Command, type CommandIo, exitCode, usageError } from '../../framework/command.ts'
import { defineCommand } from '../../framework/define.ts'
import { createRows, printJson } from '../../framework/format.ts'
import {
  findProcesses,
  processOptions,
  type ProcessValues,
} from '../../changing/processes-option.ts'
import type { Style } from '../../framework/style.ts'
import { findTarget, targetOptions } from '../../changing/target.ts'

export const command: Command = defineCommand({
  usage: 'explain USER [options]',
  summary: 'shows which side one user gets, and which line of the file decides it',
  details: `USER is the targeting key that the application passes; '' is a user without one. The file is
evaluated as flagd does it: the conditions on the way, the line that decided, and the user's place in
the split. Then flagd is asked for this user.

An app process cannot be asked for one user. It reports the hash of the definition that it uses: with
the same definition it decides as the file does. Name the processes with --metrics, or in
SWITCHBACK_METRICS. The attribute "feature" of a cache with a name is added where a process reports it.

Exit code 1 when flagd or a process decides otherwise than the file, 3 when one of them does not answer.

--json prints ok, command, file, flag, user, side, variant, value, reason, errorCode, hash, conditions
[{line, text, met}], decided {by, line, text}, bucket {hashed, by, place, variant, from, to, distance},
flagd {url, state, answer, reason, detail} and processes [{process, state, side, detail}]; a state is
same, different, unknown or silent.`,
  options: {
    attribute: {
      type: 'string',
      multiple: true,
      value: 'NAME=VALUE',
      help: 'attribute of the user, as JSON or as text (repeatable)',
    },
    ...targetOptions,
    ...processOptions,
  },
  examples: [
    ['switchback explain user_42', 'which side user_42 gets, and why'],
    [
      'switchback explain user_42 --attribute plan=internal --attribute age=33',
      'a user with attributes: a text and a number',
    ],
  ],
  positionals: 1,
  async run({ values, positionals, env, stdout, style, signal }) {
    const [key] = positionals
    if (key === undefined) throw usageError('explain needs a user', 'write switchback explain USER')
    const user = userOf(key, values.attribute)
    const { flag, file, flagd } = await findTarget(values, env)
    const sources = await findProcesses(values satisfies ProcessValues, env)
    const document = await loadFlags(file)
    const explanation = explain(document, flag, user)
    const [served, processes] = await Promise.all([
      flagd === false ? undefined : askFlagd(flagd, { flag, user, explanation, signal }),
      sources === undefined
        ? undefined
        : askProcesses(sources, { document, flag, user, explanation, signal }),
    ])
    const states = [...(served === undefined ? [] : [served]), ...(processes ?? [])]
    const code = states.some(({ state }) => state === 'different')
      ? exitCode.refused
      : states.some(({ state }) => state === 'silent')
        ? exitCode.unconfirmed
        : exitCode.done
    if (values.json) {
      printJson(stdout, {
        ok: code === exitCode.done,
        command: 'explain',
        file,
        flag,
        user,
        ...explanation,
        ...(served === undefined ? {} : { flagd: { url: flagd, ...served } }),
        ...(processes === undefined ? {} : { processes }),
      })
      return code
    }
    const row = createRows(stdout, style)
    stdout.write(`${style.bold(flag)}  ${file}\n`)
    row('user', userText(user))
    row('side', style.bold(sideText(explanation)))
    for (const { line, text, met } of explanation.conditions) {
      row(met ? 'met' : 'not met', `line ${line}: ${text}`)
    }
    const { by, line, text } = explanation.decided
    row('decided', `line ${line}: ${text}\n${style.dim(byText[by])}`)
    if (explanation.bucket !== undefined) row('bucket', bucketText(explanation.bucket))
    if (served !== undefined) row('flagd', toned(served, style))
    if (processes === undefined) row('apps', 'not asked: name the app processes with --metrics URL')
    else for (const each of processes) row('app', `${each.process}: ${toned(each, style)}`)
    return code
  },
})

const byText: Readonly<Record<Explanation['decided']['by'], string>> = {
  state: 'the flag is disabled: the default of the code applies, the old side',
  default: 'no rule decided for this user: the default variant applies',
  'code default':
    'no rule decided for this user, and the flag has no default variant: the default of the code applies, the old side',
  variant: 'the rule gives this variant',
  split: 'the split decided',
  rule: 'this operator gave the variant',
}

/** `plan=internal` and `age=33`: JSON where it is JSON, else text. */
function userOf(targetingKey: string, attributes: readonly string[]): UserContext {
  const user: Record<string, UserContext[string]> = {}
  for (const attribute of attributes) {
    const at = attribute.indexOf('=')
    const name = attribute.slice(0, Math.max(0, at))
    if (name === '') {
      throw usageError(
        `--attribute ${quote(attribute)} lacks a ${at === -1 ? 'value' : 'name'}`,
        'write --attribute plan=internal',
      )
    }
    if (name === 'targetingKey' || name === '$flagd') {
      throw usageError(
        `--attribute ${quote(attribute)} is not an attribute`,
        name === '$flagd'
          ? 'leave it out: flagd fills it in'
          : 'leave it out: the first argument is the targeting key',
      )
    }
    Object.defineProperty(user, name, {
      value: valueIn(attribute.slice(at + 1)),
      enumerable: true,
      configurable: true,
      writable: true,
    })
  }
  return { ...user, targetingKey }
}

function valueIn(text: string): UserContext[string] {
  try {
    return JSON.parse(text) as UserContext[string]
  } catch {
    // Most attributes are plain words.
    return text
  }
}

function userText({ targetingKey, ...attributes }: UserContext): string {
  const key = targetingKey === '' ? 'without a targeting key' : quote(targetingKey)
  const more = Object.entries(attributes).map(([name, value]) => `${name} = ${quote(value)}`)
  return [key, ...more].join(', ')
}

function sideText({ side, variant, value, errorCode, reason }: Explanation): string {
  const name = side === 'on' ? 'new side (on)' : 'old side (off)'
  if (errorCode !== '')
    return `${name}: flagd answers ${errorCode}, so the default of the code applies`
  if (reason === 'DISABLED' || variant === '') return `${name}: the default of the code`
  const odd = typeof value === 'boolean' ? '' : `, whose value ${quote(value)} is not true or false`
  return `${name}: variant ${quote(variant)}${odd}`
}

/** `37.412 of 100; "on" is 0 to 50: 12.588 points from the boundary` */
function bucketText({ by, place, variant, from, to, distance, hashed }: Bucket): string {
  const points = (value: number): string => String(Number(value.toFixed(3)))
  const edge =
    distance === undefined
      ? 'no other variant has a weight'
      : `${points(distance)} points from the boundary`
  return `${points(place)} of 100; ${quote(variant)} reaches from ${points(from)} to ${points(to)}: ${edge}\nby ${by}: ${quote(hashed)}`
}

interface Answered {
  readonly state: 'same' | 'different' | 'unknown' | 'silent'
  readonly detail: string
}

interface Asking extends Pick<CommandIo, 'signal'> {
  readonly flag: string
  readonly user: UserContext
  readonly explanation: Explanation
}

async function askFlagd(
  url: string,
  { flag, user, explanation, signal }: Asking,
): Promise<Answered & { readonly answer?: string; readonly reason?: string }> {
  using client = createOfrepClient({ url })
  try {
    const { answer, reason, errorCode } = await client.ask(flag, user, signal)
    const told = errorCode === '' ? answer : errorCode
    const expected =
      explanation.errorCode !== ''
        ? explanation.errorCode
        : explanation.variant === ''
          ? '(default of the code)'
          : explanation.variant
    const state = told === expected ? 'same' : 'different'
    const says = `answers ${told}${reason === '' ? '' : ` (${reason})`}`
    const detail = state === 'same' ? says : `${says}, the file says ${expected}`
    return { state, answer: told, reason, detail }
  } catch (error) {
    signal.throwIfAborted()
    return { state: 'silent', detail: messageOf(error) }
  }
}

interface ProcessExplained extends Answered {
  readonly process: string
  /** The side that it gives this user; `undefined` where it is unknown. */
  readonly side: Side | undefined
}

async function askProcesses(
  options: Parameters<typeof processSources>[0],
  asking: Asking & { readonly document: FlagsDocument },
): Promise<ProcessExplained[]> {
  const { document, flag, signal } = asking
  const expected = expectationOf(document, flag)
  const sources = await processSources(options)
  const answers = await Promise.all(sources.map((source) => source.read(flag, signal)))
  return answers.flat().flatMap((answer) => explained(answer, expected, asking))
}

/** One line for each cache of a process: each decides with its own attribute `feature`. */
function explained(
  { process, reading, error }: ProcessAnswer,
  expected: Expectation,
  { document, flag, user, explanation }: Asking & { readonly document: FlagsDocument },
): ProcessExplained[] {
  const unknown = { process, side: undefined }
  if (reading === undefined) {
    return [{ ...unknown, state: 'silent', detail: `does not answer: ${error}` }]
  }
  if (reading.splits.length === 0) {
    const detail = `does not report what it decides for ${quote(flag)}`
    return [{ ...unknown, state: 'unknown', detail }]
  }
  const { refused } = reading
  const kept = refused === undefined ? '' : `; it refuses the latest flags: ${refused.reason}`
  return reading.splits.map(({ feature, hash, on, probes }): ProcessExplained => {
    const cache = feature === '' ? '' : ` (cache "${feature}")`
    if (hash === '') {
      const count = expected.on(feature)
      const same = on * expected.probes === count * probes
      const shares = `${on} of ${probes} probe users go to the new side, according to the file ${count} of ${expected.probes}`
      const detail = `cannot be asked for one user, and does not report its definition of the flag${cache}; ${shares}${kept}`
      return { ...unknown, state: same ? 'unknown' : 'different', detail }
    }
    if (hash !== expected.hash) {
      const detail = `another definition of the flag${cache}: it does not decide as the file does${kept}`
      return { ...unknown, state: 'different', detail }
    }
    const own = feature === '' || Object.hasOwn(user, 'feature')
    const { side } = own ? explanation : explain(document, flag, { ...user, feature })
    const which = side === 'on' ? 'new side' : 'old side'
    const detail = `same definition of the flag${cache}: it decides as the file does, ${which}${kept}`
    return { process, side, state: 'same', detail }
  })
}

function toned({ state, detail }: Answered, style: Style): string {
  if (state === 'same') return style.green(detail)
  return state === 'different' ? style.red(detail) : style.yellow(detail)
}
