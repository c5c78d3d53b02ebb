import { changePilot } from '../../../rollout/index.ts'
import { askOptions, changeJson, changeOptions, runChange } from '../../changing/changing.ts'
import { type Command, usageError } from '../../framework/command.ts'
import { defineCommand } from '../../framework/define.ts'
import { processHelp, processOptions } from '../../changing/processes-option.ts'
import { targetOptions } from '../../changing/target.ts'

export const command: Command = defineCommand({
  usage: 'pilot --attribute NAME --in VALUES [options]',
  summary: 'always (or no longer) routes chosen users to the new side',
  details: `NAME is an attribute of the evaluation context, e.g. plan; --feature matches the name of a cache. The
split behind the pilot stays as it is, and all other users keep their side.

${processHelp}

${changeJson}`,
  options: {
    attribute: { type: 'string', value: 'NAME', help: 'the attribute to match' },
    in: {
      type: 'string',
      value: 'A,B',
      help: 'the values that are routed to the new side; they replace the current ones',
    },
    feature: { type: 'string', value: 'A,B', help: 'short for --attribute feature --in A,B' },
    remove: { type: 'boolean', help: 'remove the pilot on this attribute' },
    ...targetOptions,
    ...processOptions,
    ...changeOptions,
    ...askOptions,
  },
  examples: [
    [
      'switchback pilot --attribute plan --in internal,beta',
      'users of these plans get the new side',
    ],
    ['switchback pilot --feature avatars --remove', 'removes that pilot'],
  ],
  run({ values, ...io }) {
    const { attribute, in: list, feature, remove } = values
    if (feature !== undefined && (attribute !== undefined || list !== undefined)) {
      throw usageError('--feature excludes --attribute and --in', 'give one or the others')
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
