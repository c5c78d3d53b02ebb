import { isSwitchbackError } from '../../errors.ts'
import { readFlagdEnvironment } from '../../flags/index.ts'
import { addressText } from '../../reachable.ts'
import type { Environment } from '../framework/command.ts'
import { type DoctorFinding, ok, problem, warning } from './finding.ts'

/**
 * Checks the options of flagd's provider in the environment: contradictions and misleading ones.
 */
export function checkEnvironment(env: Environment): DoctorFinding[] {
  const check = 'provider'
  try {
    const settings = readFlagdEnvironment(env)
    const found = settings.warnings.map((text) =>
      warning(check, text, 'remove the variable, or set the one that it depends on'),
    )
    if (settings.mode === 'file' && env['FLAGD_RESOLVER']?.toLowerCase() !== 'in-process') {
      found.push(
        warning(
          check,
          "Switchback reads the flags from a file; flagd's own provider, used elsewhere, would use rpc",
          'set FLAGD_RESOLVER=in-process beside FLAGD_OFFLINE_FLAG_SOURCE_PATH',
        ),
      )
    }
    const where = settings.mode === 'file' ? settings.path : `at ${addressText(settings.address)}`
    const text = `a process with the FLAGD_* of this shell: ${settings.mode} ${where}`
    return found.length > 0 ? found : [ok(check, text)]
  } catch (error) {
    if (!isSwitchbackError(error)) throw error
    return [problem(check, error.message, error.hint ?? '')]
  }
}
