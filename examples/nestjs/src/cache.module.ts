import {
  Global,
  Inject,
  type MiddlewareConsumer,
  Module,
  type NestModule,
  type OnApplicationShutdown,
} from '@nestjs/common'
import { join } from 'node:path'
import {
  type CacheService,
  createCacheSwitch,
  fileCache,
  flagsFromEnvironment,
  type FlagsSource,
  redisCache,
  runAs,
} from 'openfeature-switchback'

export const CACHE = Symbol('CACHE')
const FLAGS = Symbol('FLAGS')

/** One cache for the application, the user of each request, and an orderly end. */
@Global()
@Module({
  providers: [
    {
      provide: FLAGS,
      // `flags.json` of the examples, or what the FLAGD_ variables say.
      useFactory: () =>
        flagsFromEnvironment({
          FLAGD_RESOLVER: 'file',
          FLAGD_OFFLINE_FLAG_SOURCE_PATH: join(__dirname, '..', '..', 'flags.json'),
          ...process.env,
        }),
    },
    {
      provide: CACHE,
      inject: [FLAGS],
      useFactory: (flags: FlagsSource) =>
        createCacheSwitch({
          flags,
          flag: 'use-redis',
          off: fileCache({ directory: '.cache' }),
          on: redisCache({ url: process.env['REDIS_URL'] ?? 'redis://127.0.0.1:6379' }),
        }),
    },
  ],
  exports: [CACHE],
})
export class CacheModule implements NestModule, OnApplicationShutdown {
  constructor(
    @Inject(CACHE) private readonly cache: CacheService,
    @Inject(FLAGS) private readonly flags: FlagsSource,
  ) {}

  configure(consumer: MiddlewareConsumer): void {
    consumer
      .apply((request: { headers: Record<string, string> }, _: unknown, next: () => void) =>
        runAs(request.headers['x-user'] ?? 'anonymous', next),
      )
      .forRoutes('*path')
  }

  async onApplicationShutdown(): Promise<void> {
    await this.cache.close()
    await this.flags.close()
  }
}
