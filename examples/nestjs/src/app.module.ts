import { Controller, Get, Inject, Module, Param } from '@nestjs/common'
import { type CacheService } from 'openfeature-switchback'
import { CACHE, CacheModule } from './cache.module'

interface User {
  readonly id: string
  readonly name: string
}

/** Business code: it knows a cache, and not which side serves. */
@Controller('users')
class UsersController {
  constructor(@Inject(CACHE) private readonly cache: CacheService) {}

  @Get(':id')
  find(@Param('id') id: string): Promise<User> {
    const load = async (): Promise<User> => ({ id, name: `name of ${id}` })
    return this.cache.getOrSet(`user:${id}`, load, { ttl: '10m' })
  }
}

@Module({ imports: [CacheModule], controllers: [UsersController] })
export class AppModule {}
