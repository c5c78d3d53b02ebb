import { changeShare } from '../../../rollout/index.ts'
import { askOptions, changeJson, changeOptions, runChange } from '../../changing/changing.ts'
import { type Command, usageError } from '../../framework/command.ts'
import { defineCommand } from '../../framework/define.ts'
import { readShare } from '../../changing/read-share.ts'
import { processHelp, processOptions } from '../../changing/processes-option.ts'
import { targetOptions } from '../../changing/target.ts'

export const command: Command = defineCommand({
  usage: 'set PERCENT [options]',
  summary: 'sets the share of users on the new side, and waits until every process confirms it',
  details: `PERCENT has at most three decimals. Only the weights change: the order of the entries and the
bucketing key stay, so a larger share loses no user. Rules that are not understood are
refused with the reason.

${processHelp}

${changeJson}`,
  options: {
    ...targetOptions,
    ...processOptions,
    ...changeOptions,
    ...askOptions,
    from: { type: 'string', value: 'PERCENT', help: 'refuse unless this is the current share' },
  },
  examples: [
    ['switchback set 25', 'a quarter of the users, confirmed by flagd'],
    ['switchback set 25 --from 10 --yes --json', 'for scripts: refused if it is no longer 10 %'],
  ],
  positionals: 1,
  run({ values, positionals, ...io }) {
    const [text] = positionals
    if (text === undefined)
      throw usageError('set needs a share in percent', 'write switchback set 25')
    const share = readShare(text)
    const from = values.from === undefined ? {} : { from: readShare(values.from) }
    return runChange({
      name: 'set',
      io,
      values,
      careful: true,
      yes: values.yes,
      change: (options) => changeShare({ ...options, percent: share, ...from }),
    })
  },
})
