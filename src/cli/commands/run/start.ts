import { once } from 'node:events'
import { pino, type Logger } from 'pino'
import { MemoryUserRepository, startService } from '../../../app/index.ts'
import { type Command, exitCode, type Output } from '../../framework/command.ts'
import { defineCommand } from '../../framework/define.ts'
import { Closers } from '../../running/closers.ts'
import { startCompanions } from '../../running/companions.ts'
import { pickPort } from '../../running/pick-port.ts'
import { openStack } from '../../running/stack.ts'
import { startReport } from '../../running/start-report.ts'
import { readStartSettings } from '../../running/start-settings.ts'
import { version } from '../../framework/version.ts'

export const command: Command = defineCommand({
  usage: 'start [options]',
  summary: 'runs the reference service with the flags and the Redis that it finds',
  details:
    'Flags: FLAGD_HOST, FLAGD_PORT, FLAGD_RESOLVER; else a flagd on localhost; else the embedded ' +
    'sidecar. Redis: REDIS_URL; else one on localhost:6379; else one is started, or installed ' +
    '(SWITCHBACK_NO_INSTALL=1 forbids that); else the old side (files) serves all users. ' +
    'The log is on stderr, as lines of JSON.',
  options: {
    port: {
      type: 'string',
      value: 'PORT',
      help: 'port to listen on, 0 for any free one (PORT, 3000)',
    },
    host: { type: 'string', value: 'HOST', help: 'address to listen on (HOST, 127.0.0.1)' },
    'metrics-port': { type: 'string', value: 'PORT', help: 'for /metrics (METRICS_PORT, 3002)' },
    'metrics-host': { type: 'string', value: 'HOST', help: '(METRICS_HOST, 127.0.0.1)' },
    flags: {
      type: 'string',
      value: 'PATH',
      help: 'flags file or directory for the sidecar (SWITCHBACK_FLAGS, flags/use-redis.json)',
    },
    'cache-dir': {
      type: 'string',
      value: 'DIR',
      help: 'directory of the file cache (SWITCHBACK_CACHE_DIR, .cache/switchback)',
    },
    isolated: {
      type: 'boolean',
      help: 'ignore a flagd and a Redis that already run on this machine',
    },
    'origin-latency': {
      type: 'string',
      value: 'MS',
      help: 'how long the sample origin takes to load a user (ORIGIN_LATENCY_MS, 25)',
    },
    drain: {
      type: 'string',
      value: 'SECONDS',
      help: 'how long a stop waits for requests under way (DRAIN_SECONDS, 10)',
    },
    'log-level': {
      type: 'string',
      value: 'LEVEL',
      help: 'debug, info, warn, error, silent (LOG_LEVEL, info; warn with sample traffic)',
    },
    'no-control': { type: 'boolean', help: 'do not start the control page' },
    'no-traffic': { type: 'boolean', help: 'send no sample traffic' },
  },
  examples: [
    ['switchback start', 'with what this machine has'],
    ['REDIS_URL=redis://cache:6379 FLAGD_HOST=flagd switchback start', 'with what is configured'],
    ['switchback start --port 0 --log-level silent', 'on a free port, without a log'],
  ],
  async run({ values, env, stdout, stderr, style, signal }) {
    const settings = readStartSettings(values, env)
    const logger = createLogger(stderr)
    const http = await pickPort({
      host: settings.host,
      asked: settings.port,
      preferred: 3000,
      option: '--port or PORT',
      besides: settings.metricsPort,
    })
    const metrics = await pickPort({
      host: settings.metricsHost,
      asked: settings.metricsPort,
      preferred: 3002,
      option: '--metrics-port or METRICS_PORT',
      besides: http.port,
    })
    const closers = new Closers()
    try {
      const stack = await openStack({
        env,
        flags: settings.flags,
        cacheDirectory: settings.cacheDirectory,
        isolated: values.isolated,
        log: logger,
        say: (line) => stdout.write(`${style.dim(line)}\n`),
        signal,
      })
      closers.add(() => stack.close())
      // With an embedded sidecar this is a laptop; otherwise a service among others.
      const control = stack.flags.local && !values['no-control']
      const traffic = stack.flags.local && !values['no-traffic']
      // A line per sample request would hide all others.
      logger.level = settings.logLevel ?? (traffic ? 'warn' : 'info')
      const repository = new MemoryUserRepository({ latencyMs: settings.latencyMs })
      closers.add(() => repository.close())
      const service = await startService({
        cache: stack.cache,
        repository,
        telemetry: stack.telemetry,
        logger,
        http: { host: settings.host, port: http.port },
        metrics: { host: settings.metricsHost, port: metrics.port },
        drainMs: settings.drainMs,
      })
      closers.add(() => service.close())
      const { url, metricsUrl } = service
      const companions = await startCompanions({
        env,
        url,
        metricsUrl,
        control,
        traffic,
        flags: settings.flags,
        ofrep: stack.flags.ofrep,
        log: (message) => logger.warn({ from: 'control' }, message),
      })
      closers.add(() => companions.close())
      const parts = { url, metricsUrl, http, metrics, stack, settings, traffic }
      const lines = startReport({ ...parts, control: companions.control }, style)
      stdout.write(`\n${style.bold(`switchback ${await version()}`)}\n\n${lines}\n`)
      if (!signal.aborted) await once(signal, 'abort')
      stdout.write(
        `\nstopping: waiting up to ${settings.drainMs / 1000} s for requests under way\n`,
      )
    } finally {
      await closers.close()
    }
    return exitCode.done
  },
})

function createLogger(output: Output): Logger {
  return pino(
    { base: null, timestamp: pino.stdTimeFunctions.isoTime },
    { write: (line) => void output.write(line) },
  )
}
