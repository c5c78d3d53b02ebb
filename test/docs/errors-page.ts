import { errorCodes } from '../../src/error-codes.ts'
import type { ErrorCodeEntry, SwitchbackErrorCode } from '../../src/error-codes.ts'
import { GENERATED, row } from './markdown.ts'

/** docs/errors.md, from the table in src/error-codes.ts. */
export function errorsPage(): string {
  const entries: [SwitchbackErrorCode, ErrorCodeEntry][] = Object.entries(errorCodes) as never
  const groups = [...new Set(entries.map(([, { group }]) => group))]
  const blocks = groups.map((group) => {
    const rows = entries
      .filter(([, entry]) => entry.group === group)
      .map(([code, { meaning, raisedBy, remedy }]) =>
        row(`<a id="${code}"></a>\`${code}\``, meaning, raisedBy, remedy),
      )
    const head = row('code', 'what it means', 'raised by', 'what to do')
    return `## ${group}\n\n${[head, row('---', '---', '---', '---'), ...rows].join('\n')}`
  })
  return `${INTRODUCTION}\n\n${blocks.join('\n\n')}\n`
}

const INTRODUCTION = `# Errors

${GENERATED}

Every error of Switchback is a \`SwitchbackError\`: a stable \`code\`, a \`message\` that says what happened and quotes the value, a \`hint\` that says what to do, and the \`cause\` where another error is behind it. Codes keep their meaning; the words of messages may change.

\`\`\`ts
import { isSwitchbackError } from 'openfeature-switchback'

try {
  await cache.set('user:7', value, { ttl: '10m' })
} catch (error) {
  if (!isSwitchbackError(error)) throw error
  log.error({ code: error.code, message: error.message, hint: error.hint })
}
\`\`\`

- An outage of Redis, of the disk or of flagd throws nothing at callers of the cache. Its codes appear in events (\`onEvent\`) and in \`cache.health()\`.
- The command line prints the message and the hint on stderr. With \`--json\` it prints \`{"ok": false, "error": {code, message, hint}}\` on stdout. Exit codes are listed in [the command line](command-line.md#exit-codes).
- The control page's API answers \`application/problem+json\` with \`code\` and \`hint\`.`
