import { Problem } from '../http/service-problem.ts'

/** Longest user id, in UTF-16 code units. */
export const MAX_USER_ID_LENGTH = 256

const CONTROL_CHARACTER = /\p{Cc}/u

/**
 * The user id of a request's path.
 * @throws Problem 400 when it is empty, too long, or holds a control character
 */
export function userIdOf(value: string | undefined): string {
  const id = value ?? ''
  if (id === '') throw new Problem(400, 'The user id is empty.')
  if (id.length > MAX_USER_ID_LENGTH) {
    throw new Problem(400, `The user id is longer than ${MAX_USER_ID_LENGTH} characters.`)
  }
  if (CONTROL_CHARACTER.test(id)) {
    throw new Problem(400, 'The user id contains a control character.')
  }
  return id
}
