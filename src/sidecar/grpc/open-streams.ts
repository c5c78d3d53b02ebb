import { status } from '@grpc/grpc-js'
import type { ServerWritableStream } from '@grpc/grpc-js'

/** The open streams, so that they can be ended when the server stops. */
export class OpenStreams {
  readonly #calls = new Set<ServerWritableStream<object, object>>()

  get size(): number {
    return this.#calls.size
  }

  /**
   * Opens a stream that sends state at the reader's pace: at most one message is under way, and the
   * next is made when the reader took it. A reader that never reads costs one message, not one per
   * change.
   *
   * @param next what the reader does not know yet; `undefined` when it knows all
   * @param onClose called once, however the stream ends
   * @returns what to call when `next` may have something
   */
  open<Message extends object>(
    call: ServerWritableStream<object, Message>,
    next: () => Message | undefined,
    onClose: () => void,
  ): () => void {
    const entry = call as ServerWritableStream<object, object>
    this.#calls.add(entry)
    const close = (): void => {
      if (this.#calls.delete(entry)) onClose()
    }
    for (const event of ['cancelled', 'close', 'error']) call.on(event, close)
    let busy = false
    const wake = (): void => {
      if (busy || !this.#calls.has(entry)) return
      const message = next()
      if (message === undefined) return
      busy = true
      call.write(message, () => {
        busy = false
        wake()
      })
    }
    return wake
  }

  /** Ends all as unavailable: after an OK, flagd's Node provider would never connect again. */
  end(): void {
    for (const call of this.#calls) {
      call.emit('error', { code: status.UNAVAILABLE, details: 'the sidecar is shutting down' })
    }
  }
}
