import 'reflect-metadata'
import { type NestExpressApplication } from '@nestjs/platform-express'
import { NestFactory } from '@nestjs/core'
import { AppModule } from './app.module'

async function main(): Promise<void> {
  const app = await NestFactory.create<NestExpressApplication>(AppModule, { logger: ['error'] })
  // Nest closes the cache and the flags at SIGTERM.
  app.enableShutdownHooks()
  await app.listen(Number(process.env['PORT'] ?? 3000))
  console.log(`listening on ${await app.getUrl()}`)
}

void main()
