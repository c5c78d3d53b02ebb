import { messageOf } from '../../errors.ts'
import { type DoctorFinding, ok, warning } from './finding.ts'

const check = 'redis tracking'

/** A connection that is not used for anything else afterwards. */
interface Connection {
  call(command: string, ...args: string[]): Promise<unknown>
  subscribe(channel: string): Promise<unknown>
}

/** Whether machines with an old side of their own can follow this Redis. */
export async function checkFollow(
  redis: Connection,
  prefixes: readonly string[],
): Promise<DoctorFinding> {
  try {
    const id = await redis.call('CLIENT', 'ID')
    const on = ['TRACKING', 'ON', 'REDIRECT', String(id), 'BCAST']
    await redis.call('CLIENT', ...on, ...prefixes.flatMap((prefix) => ['PREFIX', prefix]))
    await redis.subscribe('__redis__:invalidate')
    return ok(check, 'several machines can follow what the others write')
  } catch (error) {
    const text = `CLIENT TRACKING is refused (${messageOf(error)}): with several machines, users of the old side see what another machine wrote only when their copy expires`
    const remedy =
      'grant +client|id +client|tracking +subscribe +ping &__redis__:invalidate, or keep the TTL of the old side short'
    return warning(check, text, remedy)
  }
}
