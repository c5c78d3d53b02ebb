import { stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { isSwitchbackError } from '../../errors.ts'
import {
  describe,
  type FlagsLocation,
  locate,
  readFlags,
  readText,
  validate,
} from '../../rollout/index.ts'
import { type DoctorFinding, ok, problem, warning } from './finding.ts'

/**
 * Checks the flags file: there, valid, replaceable, readable for flagd's user, not from the future.
 */
export async function checkFile(path: string, flag: string): Promise<DoctorFinding[]> {
  let place: FlagsLocation
  let text: string
  try {
    place = await locate(path)
    text = await readText(path)
  } catch (error) {
    if (!isSwitchbackError(error)) throw error
    return [problem('flags file', error.message, error.hint ?? '')]
  }
  const findings = validate(text, { flag, name: path })
  const worst = findings.find(({ severity }) => severity === 'error') ?? findings[0]
  const content =
    worst === undefined
      ? ok('flags file', `${path} is fine`)
      : (worst.severity === 'error' ? problem : warning)(
          'flags file',
          `${path}:${worst.line}:${worst.column}: ${worst.message}`,
          findings.length > 1 ? 'run switchback validate to see all of them' : worst.fix,
        )
  const edits = checkYaml(text, path) ?? checkPlace(place)
  return [content, ...checkFlag(text, flag), ...edits, ...(await checkRights(place))]
}

/** What flagd serves, and no command here edits. */
function checkYaml(text: string, path: string): DoctorFinding[] | undefined {
  try {
    readFlags(text, path)
  } catch (error) {
    if (!isSwitchbackError(error)) throw error
    if (error.code === 'SB_FLAGS_YAML') return [warning('edits', error.message, error.hint ?? '')]
  }
  return undefined
}

function checkFlag(text: string, flag: string): DoctorFinding[] {
  try {
    const { shape, reason, sentence } = describe(readFlags(text), flag)
    return reason === undefined
      ? [ok('flag', sentence)]
      : [
          warning(
            'flag',
            `its rule is ${shape}: ${reason}`,
            'edit it by hand, and check with switchback diff',
          ),
        ]
  } catch (error) {
    if (!isSwitchbackError(error)) throw error
    // Broken JSON is reported by the check of the content.
    if (error.code === 'SB_FLAGS_SYNTAX') return []
    return [problem('flag', error.message, error.hint ?? '')]
  }
}

function checkPlace({ kind, file }: FlagsLocation): DoctorFinding[] {
  if (kind === 'writable') return [ok('edits', `can replace ${file}`)]
  const [text, remedy] = {
    configmap: ['the file comes from a ConfigMap', 'edit the source: switchback set 25 --print'],
    mount: [
      'the file is mounted as a single file, so flagd and this process see a file that never changes',
      'mount its directory instead',
    ],
    'read-only': [
      'this user may not replace the file',
      'run as the owner of its directory, or use --print',
    ],
  }[kind] as [string, string]
  return [(kind === 'mount' ? problem : warning)('edits', text, remedy)]
}

/** flagd's image runs as user 65532; its watch on a file that it cannot read ends for good. */
async function checkRights({ file }: FlagsLocation): Promise<DoctorFinding[]> {
  const [own, directory] = await Promise.all([stat(file), stat(dirname(file))])
  const found: DoctorFinding[] = []
  const others = (own.mode & 0o004) !== 0 && (directory.mode & 0o001) !== 0
  found.push(
    others
      ? ok('readable', 'every user can read it, including flagd')
      : warning(
          'readable',
          `only user ${own.uid} and group ${own.gid} can read it; if flagd is neither, it cannot watch the file`,
          `chmod o+r ${file}, and o+x on its directory`,
        ),
  )
  const ahead = own.mtimeMs - Date.now()
  if (ahead > 2000) {
    const seconds = Math.round(ahead / 1000)
    found.push(
      warning(
        'file time',
        `it was modified ${seconds} s in the future; flagd ignores saves with an older time`,
        'touch the file, then save it; edits by switchback are always newer',
      ),
    )
  }
  return found
}
