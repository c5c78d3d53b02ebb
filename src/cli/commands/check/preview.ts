import { currentShare, loadFlags, requireSides, setShare } from '../../../rollout/index.ts'
import { type Command, usageError } from '../../framework/command.ts'
import { defineCommand } from '../../framework/define.ts'
import { percent } from '../../framework/format.ts'
import { previewOptions, runPreview } from '../../changing/previewing.ts'
import { readShare } from '../../changing/read-share.ts'
import { fileOptions, findFlagsFile } from '../../changing/target.ts'

export const command: Command = defineCommand({
  usage: 'preview PERCENT [options]',
  summary: 'shows which users would move; writes nothing',
  details: `Evaluates every user before and after, as flagd does. Exit code 1 when users
leave the new side although its share does not shrink.

--json prints ok, command, flag, from, to, users, on {before, after}, variants {before, after},
joins and leaves {count, examples} and moves, on one line.`,
  options: { ...fileOptions, ...previewOptions },
  examples: [
    ['switchback preview 25', 'over 100,000 made-up users'],
    ['psql -Atc "select id from users" | switchback preview 25 --users -', 'over your own users'],
  ],
  positionals: 1,
  async run({ values, positionals, ...io }) {
    const [text] = positionals
    if (text === undefined) {
      throw usageError('preview needs a share in percent', 'write switchback preview 25')
    }
    const share = readShare(text)
    const { flag, file } = await findFlagsFile(values, io.env)
    const before = await loadFlags(file)
    requireSides(before, flag)
    const { after, from, to } = setShare(before, { flag, percent: share })
    return runPreview({
      command: 'preview',
      io,
      values,
      flag,
      before,
      after,
      title: String(file),
      rows: [['share', `${percent(currentShare(before, flag))} -> ${percent(to)}`]],
      extra: { file, from, to },
    })
  },
})
