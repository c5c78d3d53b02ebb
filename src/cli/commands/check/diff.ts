import { describe, type FlagsDocument, loadFlags, validate } from '../../../rollout/index.ts'
import { type Command, usageError } from '../../framework/command.ts'
import { defineCommand } from '../../framework/define.ts'
import { percent } from '../../framework/format.ts'
import { previewOptions, runPreview } from '../../changing/previewing.ts'

const load = (file: string): Promise<FlagsDocument> =>
  loadFlags(file, { missingHint: 'check the path: diff needs two files' })

export const command: Command = defineCommand({
  usage: 'diff FILE FILE [options]',
  summary: 'shows which users move between two flags files, whatever their rules',
  details: `Exit code 1 when users leave the new side although its share does not shrink.

--json prints ok, command, flag, from, to, users, on {before, after}, variants {before, after},
joins and leaves {count, examples} and moves, on one line.`,
  options: {
    flag: { type: 'string', value: 'NAME', help: 'the flag (use-redis, or SWITCHBACK_FLAG)' },
    ...previewOptions,
    json: { type: 'boolean', help: 'print JSON' },
  },
  examples: [
    ['switchback diff old.json new.json', 'over 100,000 made-up users'],
    [
      'git show HEAD:flags/use-redis.json > /tmp/old.json && switchback diff /tmp/old.json flags/use-redis.json',
      'what an edit by hand would do',
    ],
  ],
  positionals: 2,
  async run({ values, positionals, ...io }) {
    const [a, b] = positionals
    if (a === undefined || b === undefined) {
      throw usageError('diff needs two files', 'write switchback diff old.json new.json')
    }
    const flag = values.flag ?? io.env['SWITCHBACK_FLAG'] ?? 'use-redis'
    const [before, after] = [await load(a), await load(b)]
    const [was, is] = [describe(before, flag), describe(after, flag)]
    const surprises = validate(after.text, { before: before.text }).filter(
      (finding) => finding.flag === flag && finding.code.endsWith('-changed'),
    )
    return runPreview({
      command: 'diff',
      io,
      values,
      flag,
      before,
      after,
      title: `${a} -> ${b}`,
      rows: [
        ['shape', was.shape === is.shape ? is.shape : `${was.shape} -> ${is.shape}`],
        ['share', `${percent(was.share)} -> ${percent(is.share)}`],
        ...surprises.map(({ message }) => ['beware', io.style.yellow(message)] as const),
      ],
      extra: { files: [a, b], from: was.share ?? null, to: is.share ?? null, surprises },
    })
  },
})
