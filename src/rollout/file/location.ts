import { constants } from 'node:fs'
import { access, lstat, readlink, realpath, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { quote, SwitchbackError } from '../../errors.ts'
import type { FlagsFile } from '../place/place.ts'

/** Where a flags file really is and whether it can be replaced there. */
export interface FlagsLocation {
  /** The file behind symbolic links: what a write replaces. */
  readonly file: string
  /**
   * - `writable`;
   * - `configmap`: projected by Kubernetes, which would undo any edit;
   * - `read-only`: the file system or the rights forbid it;
   * - `mount`: the file itself is a mount point (one file bind-mounted into a container).
   */
  readonly kind: 'writable' | 'configmap' | 'read-only' | 'mount'
}

/**
 * Finds the file behind a path, and recognises those that no edit can replace.
 *
 * @throws {SwitchbackError} `SB_FILE_MISSING`.
 */
export async function locate(path: string): Promise<FlagsLocation> {
  let file: string
  try {
    file = await realpath(path)
  } catch (error) {
    throw new SwitchbackError('SB_FILE_MISSING', `the flags file ${quote(path)} does not exist`, {
      cause: error,
      hint: 'name it with --file, or run where the directory flags/ is',
    })
  }
  const [configMap, mountPoint, writable] = await Promise.all([
    isConfigMap(path),
    isMountPoint(file),
    access(dirname(file), constants.W_OK).then(
      () => true,
      () => false,
    ),
  ])
  if (configMap) return { file, kind: 'configmap' }
  if (mountPoint) return { file, kind: 'mount' }
  return { file, kind: writable ? 'writable' : 'read-only' }
}

/** The file behind symbolic links, beside which its history is; another place as it is. */
export async function behindLinks(file: FlagsFile): Promise<FlagsFile> {
  return typeof file === 'string' ? (await locate(file)).file : file
}

/** Rejects when nothing can be changed there, which is not to be learned when it is needed. */
export async function requireWritable(file: FlagsFile): Promise<void> {
  if (typeof file !== 'string') return file.check()
  const location = await locate(file)
  if (location.kind !== 'writable') throw notWritable(location)
}

/** Kubernetes projects `name -> ..data/name` and `..data -> ..2026_11_22_...`. */
async function isConfigMap(path: string): Promise<boolean> {
  const [link, data] = await Promise.all([
    readlink(path).catch(() => ''),
    lstat(join(dirname(path), '..data')).catch(() => undefined),
  ])
  return link.startsWith('..data/') || data?.isSymbolicLink() === true
}

async function isMountPoint(file: string): Promise<boolean> {
  const [own, parent] = await Promise.all([stat(file), stat(dirname(file))])
  return own.dev !== parent.dev
}

/** Why a file cannot be replaced, and what to do instead. */
export function notWritable({ file, kind }: FlagsLocation): SwitchbackError {
  const name = basename(file)
  const [message, hint] = {
    configmap: [
      `${quote(file)} is projected from a Kubernetes ConfigMap; an edit here is undone`,
      `edit the source: --target configmap/NAME, or --print > ${name}, then kubectl create configmap NAME --from-file=${name} --dry-run=client -o yaml | kubectl apply -f -`,
    ],
    mount: [
      `${quote(file)} is mounted as a single file, which cannot be replaced and whose changes flagd misses`,
      'mount its directory instead, or write the output of --print to the file on the host',
    ],
    'read-only': [
      `${quote(file)} cannot be replaced: its directory is read-only for this user`,
      'edit it where it comes from (--print writes the new file to stdout), or run as its owner',
    ],
    writable: ['', ''],
  }[kind] as [string, string]
  return new SwitchbackError('SB_FILE_READ_ONLY', message, { hint })
}
