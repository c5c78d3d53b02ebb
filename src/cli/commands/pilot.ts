import { changePilot } from '../../rollout/index.ts'
import { askOptions, changeJson, changeOptions, runChange } from '../changing.ts'
import { type Command, usageError } from '../command.ts'
import { defineCommand } from '../define.ts'
import { processHelp, processOptions } from '../processes-option.ts'
import { targetOptions } from '../target.ts'

export const command: Command = defineCommand({
  usage: 'pilot --attribute NAME --in VALUES [options]',
  summary: 'routes chosen users to the new side whatever the split says, or no longer',
  details: `The attribute is one of the evaluation context, e.g. plan; --feature is that of a cache's name. The
split behind the pilot stays as it is, and so does everybody's bucket.

${processHelp}

${changeJson}`,
  options: {
    attribute: { type: 'string', value: 'NAME', help: 'the attribute to look at' },
    in: { type: 'string', value: 'A,B', help: 'its values that get on, in place of those of now' },
    feature: { type: 'string', value: 'A,B', help: 'short for --attribute feature --in A,B' },
    remove: { type: 'boolean', help: 'take the pilot on this attribute away' },
    ...targetOptions,
    ...processOptions,
    ...changeOptions,
    ...askOptions,
  },
  examples: [
    ['switchback pilot --attribute plan --in internal,beta', 'these plans get on'],
    ['switchback pilot --feature avatars --remove', 'takes that pilot away'],
  ],
  run({ values, ...io }) {
    const { attribute, in: list, feature, remove } = values
    if (feature !== undefined && (attribute !== undefined || list !== undefined)) {
      throw usageError('--feature stands for --attribute and --in', 'give one or the others')
    }
    const name = feature === undefined ? attribute : 'feature'
    if (name === undefined) {
      throw usageError('pilot needs an attribute', 'write --attribute plan --in internal,beta')
    }
    const wanted = (feature ?? list ?? '').split(',').map((value) => value.trim())
    if (!remove && wanted.includes('')) {
      throw usageError('pilot needs values', `write --attribute ${name} --in internal,beta`)
    }
    return runChange({
      name: 'pilot',
      io,
      values,
      careful: true,
      yes: values.yes,
      change: (options) => changePilot({ ...options, attribute: name, values: wanted, remove }),
    })
  },
})
