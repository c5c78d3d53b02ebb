import type { Command } from '../../src/cli/framework/command.ts'
import { commands } from '../../src/cli/commands.ts'
import { GENERATED, table } from './markdown.ts'

/** docs/command-line.md, from the definitions of the commands. */
export async function commandLinePage(): Promise<string> {
  const entries = await Promise.all(
    Object.entries(commands).map(async ([name, { group, summary, load }]) => ({
      name,
      group,
      summary,
      command: (await load()).command,
    })),
  )
  const overview = table(
    ['', 'command', 'what it does'],
    entries.map(({ name, group, summary }, index) => [
      entries[index - 1]?.group === group ? '' : group,
      `[\`${name}\`](#${name})`,
      summary,
    ]),
  )
  const sections = entries.map(({ name, command }) => section(name, command))
  return `${INTRODUCTION}\n\n${overview}\n\n${EXIT_CODES}\n\n${sections.join('\n\n')}\n`
}

function section(name: string, { usage, summary, details, options, examples }: Command): string {
  const rows = Object.entries(options).map(([option, { short, type, value, multiple, help }]) => [
    `\`${short === undefined ? '' : `-${short}, `}--${option}${type === 'string' ? ` ${value ?? 'VALUE'}` : ''}\``,
    `${help}${multiple === true && !help.includes('repeatable') ? ' (repeatable)' : ''}`,
  ])
  return [
    `## ${name}`,
    `    switchback ${usage}`,
    `${capital(summary)}.`,
    details === undefined ? '' : prose(details),
    rows.length === 0 ? '' : table(['option', 'meaning'], rows),
    `\`\`\`sh\n${examples.map(([line, what]) => `${line}   # ${what}`).join('\n')}\n\`\`\``,
  ]
    .filter((block) => block !== '')
    .join('\n\n')
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}

/** Lines of a terminal as paragraphs; what is indented there stays as it is. */
function prose(details: string): string {
  return details
    .split('\n\n')
    .map((block) =>
      /^\s/mu.test(block) ? `\`\`\`\n${block}\n\`\`\`` : block.replaceAll('\n', ' '),
    )
    .join('\n\n')
    .replaceAll('<', '&lt;')
}

const INTRODUCTION = `# The command line

${GENERATED}

\`npx switchback COMMAND [options]\`, wherever the package is installed. \`switchback COMMAND --help\` prints the same as this page. The flag is \`use-redis\` and the file the one in \`flags/\`, unless \`--flag\`, \`--file\` or the [environment](configuration.md#environment-variables) names another. \`switchback completion bash\` prints a completion script.`

const EXIT_CODES = `## Exit codes

| code | meaning |
| --- | --- |
| 0 | done |
| 1 | refused, or something wrong was found: by \`validate\`, \`status\`, \`doctor\` |
| 2 | bad input: the command line, a flag that the file does not have, a list of users, a flags file that does not exist or that flagd would refuse |
| 3 | written, but not confirmed in time by flagd or by every process |
| 130, 143 | interrupted by Ctrl-C or SIGTERM |

\`set\`, \`pilot\` and \`undo\` ask before they write, on stderr; \`rollback\` and all others never do. Without a terminal nobody can be asked, whatever stdin has: they write nothing and exit 2, unless \`--yes\` is given.

Messages go to stderr, results to stdout. With \`--json\` the result, and an error too, is one JSON document on stdout: \`{"ok": false, "error": {"code", "message", "hint"}}\`; the codes are in [errors](errors.md). Colours are used in a terminal only, and not with \`NO_COLOR\`.`
