import { status } from '@grpc/grpc-js'
import type { ServerWritableStream } from '@grpc/grpc-js'

/** The streams that stand, so that they can be ended when the server goes. */
export class OpenStreams {
  readonly #calls = new Set<ServerWritableStream<object, object>>()

  /** @param onClose called once, however the stream ends */
  add<Message extends object>(
    call: ServerWritableStream<object, Message>,
    onClose: () => void,
  ): void {
    const entry = call as ServerWritableStream<object, object>
    this.#calls.add(entry)
    const close = (): void => {
      if (this.#calls.delete(entry)) onClose()
    }
    call.on('cancelled', close)
    call.on('close', close)
    call.on('error', close)
  }

  /** Ends all as unavailable: after an OK, flagd's Node provider would never reconnect. */
  end(): void {
    for (const call of this.#calls) {
      call.emit('error', { code: status.UNAVAILABLE, details: 'shutting down' })
    }
  }
}

/**
 * Sends state down a stream at the reader's pace: one message is under way at most, and the next is
 * made only when the reader took it. A reader who never reads costs one message and not one a change.
 */
export class LatestStream<Message extends object> {
  readonly #call: ServerWritableStream<object, Message>
  readonly #next: () => Message | undefined
  #busy = false

  /** @param next what the reader does not know yet, `undefined` when it knows all */
  constructor(call: ServerWritableStream<object, Message>, next: () => Message | undefined) {
    this.#call = call
    this.#next = next
  }

  /** Says that `next` may have something. */
  wake(): void {
    if (this.#busy || this.#call.cancelled || this.#call.destroyed) return
    const message = this.#next()
    if (!message) return
    this.#busy = true
    this.#call.write(message, () => {
      this.#busy = false
      this.wake()
    })
  }
}
