import { getSystemErrorMap } from 'node:util'
import { isSwitchbackError, quote, SwitchbackError } from '../../errors.ts'

/**
 * The surroundings of a command by which {@link explainFault} recognises errors that are not
 * defects.
 */
export interface FaultContext {
  readonly argv: readonly string[]
  readonly signal: AbortSignal
}

/**
 * Turns errors that are not defects into Switchback's own: an interruption (`SB_INTERRUPTED`), and
 * refusals of the operating system (`SB_SYSTEM`, or `SB_SYSTEM_INPUT` for something named on the
 * command line). Returns any other error unchanged.
 */
export function explainFault(error: unknown, { argv, signal }: FaultContext): unknown {
  if (signal.aborted && !isRefusal(error, signal)) {
    return new SwitchbackError('SB_INTERRUPTED', 'interrupted', { cause: error })
  }
  if (isSwitchbackError(error) || !isSystemError(error)) return error
  const { code, syscall, errno } = error
  const named = error.path ?? error.hostname ?? error.address ?? ''
  const what = getSystemErrorMap().get(errno ?? 0)?.[1] ?? 'refused'
  const object = named === '' ? '' : ` ${quote(named)}`
  const asked = named !== '' && argv.some((arg) => arg === named || arg.endsWith(`=${named}`))
  return new SwitchbackError(
    asked ? 'SB_SYSTEM_INPUT' : 'SB_SYSTEM',
    `cannot ${verbs[syscall] ?? syscall}${object}: ${what} (${code})`,
    {
      cause: error,
      hint: hints[`${code} ${syscall}`] ?? hints[code] ?? 'check what the message names',
    },
  )
}

/** A refusal of ours that the interruption did not cause. */
function isRefusal(error: unknown, signal: AbortSignal): boolean {
  if (!isSwitchbackError(error)) return false
  const { cause } = error
  return cause !== signal.reason && !(cause instanceof Error && cause.name === 'AbortError')
}

interface SystemError extends Error {
  readonly code: string
  readonly syscall: string
  readonly errno?: number
  readonly path?: string
  readonly hostname?: string
  readonly address?: string
}

function isSystemError(error: unknown): error is SystemError {
  return (
    error instanceof Error &&
    'code' in error &&
    typeof error.code === 'string' &&
    'syscall' in error &&
    typeof error.syscall === 'string'
  )
}

const verbs: Readonly<Record<string, string>> = {
  bind: 'listen on',
  connect: 'connect to',
  getaddrinfo: 'find the host',
  listen: 'listen on',
  mkdir: 'make the directory',
  mkdtemp: 'make a directory at',
  scandir: 'list',
  stat: 'look at',
}

const path = 'check the path and its directory'
const rights = 'check the permissions, or run as another user'
const directory = 'name a directory that exists and can be written, with TMPDIR'

/** By code, or by code and system call where the call says more. */
const hints: Readonly<Record<string, string>> = {
  EACCES: rights,
  'EACCES mkdtemp': directory,
  EADDRINUSE: 'another program listens there: choose another port',
  EADDRNOTAVAIL: 'name an address of this machine, e.g. 127.0.0.1, or 0.0.0.0 for all of them',
  EAI_AGAIN: 'this machine cannot resolve the name now: try again, or name an address',
  ECONNREFUSED: 'nothing listens there: check host and port',
  EISDIR: 'name a file, not a directory',
  EMFILE: 'too many files are open: raise ulimit -n',
  ENOENT: path,
  'ENOENT mkdtemp': directory,
  ENOSPC: 'free space on the disk',
  ENOTDIR: path,
  'ENOTDIR mkdtemp': directory,
  ENOTFOUND: 'name a host that this machine can resolve, or an address',
  EPERM: rights,
  EROFS: 'the file system is read-only: name another place',
  'EROFS mkdtemp': directory,
}
