import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { answersOn, freePort } from '../with-redis.mjs'

/** The embedded sidecar as a process of its own, in flagd's place, on ports that a restart keeps. */
export async function startSidecarProcess(flagsFile) {
  const [rpcPort, managementPort, syncPort, ofrepPort] = [
    await freePort(),
    await freePort(),
    await freePort(),
    await freePort(),
  ]
  let child
  const start = async () => {
    child = spawn(
      process.execPath,
      [
        join(import.meta.dirname, '../../dist/cli/bin.js'),
        'sidecar',
        '--file',
        flagsFile,
        '--evaluation-port',
        rpcPort,
        '--management-port',
        managementPort,
        '--sync-port',
        syncPort,
        '--ofrep-port',
        ofrepPort,
      ].map(String),
      { stdio: 'ignore' },
    )
    await answersOn(rpcPort)
  }
  await start()
  return {
    rpcPort,
    syncPort,
    start,
    kill: async () => {
      const gone = once(child, 'exit')
      child.kill('SIGKILL')
      await gone
    },
    freeze: () => child.kill('SIGSTOP'),
    thaw: () => child.kill('SIGCONT'),
    close: async () => void child.kill('SIGKILL'),
  }
}
