import 'reflect-metadata'
import { Injectable, Module, type OnModuleDestroy } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { strict as assert } from 'node:assert'
import { type CacheSwitch, createCacheSwitch, memoryCache } from 'openfeature-switchback'

@Injectable()
class Users implements OnModuleDestroy {
  readonly #cache: CacheSwitch = createCacheSwitch({
    flag: 'use-redis',
    off: memoryCache(),
    on: memoryCache(),
  })

  name(id: string): Promise<string> {
    return this.#cache.for({ targetingKey: id }).getOrSet(id, () => `name of ${id}`, { ttl: '1m' })
  }

  async onModuleDestroy(): Promise<void> {
    await this.#cache.close()
  }
}

@Module({ providers: [Users] })
class AppModule {}

async function main(): Promise<void> {
  const app = await NestFactory.createApplicationContext(AppModule, { logger: ['error'] })
  assert.equal(await app.get(Users).name('7'), 'name of 7')
  await app.close()
}

void main()
