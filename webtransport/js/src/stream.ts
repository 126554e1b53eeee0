import { capsule, capsuleType } from './capsules.js';
import { codeOf, transportError } from './errors.js';

/** What a stream needs of its session. */
export interface Carrier {
  /** Sends a capsule that no window holds back. */
  sendControl(bytes: Uint8Array<ArrayBuffer>): void;
  /** The stream has data, or its end, to send. */
  wants(stream: Stream): void;
  /** `count` bytes were read by the application. */
  credit(count: number): void;
  forget(stream: Stream): void;
}

interface Piece {
  bytes: Uint8Array;
  sent: () => void;
  failed: (error: unknown) => void;
}

/** One stream: its two halves, their windows and the web streams on top. */
export class Stream {
  readonly readable: ReadableStream<Uint8Array> | undefined;
  readonly writable: WritableStream<BufferSource> | undefined;

  // Receiving.
  #controller: ReadableByteStreamController | undefined;
  #received: Uint8Array<ArrayBuffer>[] = [];
  #wanted: (() => void) | undefined;
  #receivedBytes = 0;
  #readBytes = 0;
  #maxReceive: number;
  #receiveOver: boolean;
  #readOver = false;

  // Sending.
  #writer: WritableStreamDefaultController | undefined;
  #queue: Piece[] = [];
  #sentBytes = 0;
  #finish: Piece | undefined;
  #sendOver: boolean;

  constructor(
    readonly id: number,
    private readonly carrier: Carrier,
    receives: boolean,
    sends: boolean,
    private readonly window: number,
    private maxSend: number,
  ) {
    this.#maxReceive = window;
    this.#receiveOver = !receives;
    this.#sendOver = !sends;
    if (receives) this.readable = this.#makeReadable();
    if (sends) this.writable = this.#makeWritable();
  }

  // ---- receiving

  #makeReadable(): ReadableStream<Uint8Array> {
    return new ReadableStream({
      type: 'bytes',
      start: (controller) => {
        this.#controller = controller;
      },
      pull: (controller) => this.#pull(controller),
      cancel: (reason) => {
        this.#readOver = true;
        this.#dropReceived();
        if (this.#receiveOver) return;
        this.carrier.sendControl(capsule(capsuleType.stopSending, [this.id, codeOf(reason)]));
      },
    });
  }

  async #pull(controller: ReadableByteStreamController): Promise<void> {
    while (this.#received.length === 0 && !this.#receiveOver) {
      await new Promise<void>((resolve) => (this.#wanted = resolve));
    }
    if (this.#readOver) return;
    const piece = this.#received.shift();
    if (!piece) {
      this.#endReading(controller);
      return;
    }
    const size = piece.byteLength;
    controller.enqueue(piece);
    this.#credit(size);
    if (this.#received.length === 0 && this.#receiveOver) this.#endReading(controller);
  }

  #endReading(controller: ReadableByteStreamController): void {
    this.#readOver = true;
    controller.close();
    controller.byobRequest?.respond(0);
  }

  #credit(count: number): void {
    this.#readBytes += count;
    this.carrier.credit(count);
    if (this.#receiveOver || this.#maxReceive - this.#readBytes > this.window / 2) return;
    this.#maxReceive = this.#readBytes + this.window;
    this.carrier.sendControl(capsule(capsuleType.maxStreamData, [this.id, this.#maxReceive]));
  }

  #dropReceived(): void {
    const unread = this.#receivedBytes - this.#readBytes;
    this.#received = [];
    this.#readBytes = this.#receivedBytes;
    if (unread > 0) this.carrier.credit(unread);
  }

  #wake(): void {
    this.#wanted?.();
    this.#wanted = undefined;
  }

  /** What the peer sends. The reason when it may not. */
  onData(bytes: Uint8Array, fin: boolean): string | undefined {
    if (this.#receiveOver) return 'data on a stream that has ended';
    if (this.#receivedBytes + bytes.byteLength > this.#maxReceive) {
      return 'more data on a stream than allowed';
    }
    this.#receivedBytes += bytes.byteLength;
    if (this.#readOver) this.#dropReceived();
    else if (bytes.byteLength > 0) this.#received.push(new Uint8Array(bytes));
    if (fin) this.#receiveOver = true;
    this.#wake();
    if (fin) this.#leave();
    return undefined;
  }

  onReset(code: number, size: number): string | undefined {
    if (this.#receiveOver) return 'a reset of a stream that has ended';
    if (size !== this.#receivedBytes) return 'a reset with another size than was sent';
    this.#receiveOver = true;
    this.#fail(transportError('the peer has reset the stream', 'stream', code));
    this.#leave();
    return undefined;
  }

  #fail(error: unknown): void {
    this.#dropReceived();
    if (!this.#readOver) {
      this.#readOver = true;
      this.#controller?.error(error);
    }
    this.#wake();
  }

  // ---- sending

  #makeWritable(): WritableStream<BufferSource> {
    return new WritableStream(
      {
        start: (controller) => {
          this.#writer = controller;
        },
        write: (chunk) => {
          const bytes = bytesOf(chunk);
          if (bytes.byteLength === 0) return undefined;
          return new Promise<void>((sent, failed) => {
            this.#queue.push({ bytes, sent, failed });
            this.carrier.wants(this);
          });
        },
        close: () =>
          new Promise<void>((sent, failed) => {
            this.#finish = { bytes: new Uint8Array(0), sent, failed };
            this.carrier.wants(this);
          }),
        abort: (reason) => this.#reset(codeOf(reason)),
      },
      { highWaterMark: 1 },
    );
  }

  get hasData(): boolean {
    return !this.#sendOver && (this.#queue.length > 0 || this.#finish !== undefined);
  }

  /** The stream's own window holds it back. */
  get blocked(): boolean {
    return this.#queue.length > 0 && this.#sentBytes >= this.maxSend;
  }

  /** The next capsule, with at most `credit` bytes of data; nothing when a window is shut. */
  next(credit: number): { bytes: Uint8Array<ArrayBuffer>; size: number } | undefined {
    if (this.#sendOver) return undefined;
    const piece = this.#queue[0];
    let data: Uint8Array = new Uint8Array(0);
    if (piece) {
      const size = Math.min(credit, this.maxSend - this.#sentBytes, piece.bytes.byteLength, 16384);
      if (size <= 0) return undefined;
      data = piece.bytes.subarray(0, size);
      piece.bytes = piece.bytes.subarray(size);
      this.#sentBytes += size;
      if (piece.bytes.byteLength === 0) {
        this.#queue.shift();
        piece.sent();
      }
    }
    const fin = this.#queue.length === 0 && this.#finish !== undefined;
    if (!piece && !fin) return undefined;
    const type = fin ? capsuleType.streamWithFin : capsuleType.stream;
    const bytes = capsule(type, [this.id], data);
    if (fin) {
      this.#sendOver = true;
      this.#finish?.sent();
      this.#leave();
    }
    return { bytes, size: data.byteLength };
  }

  onMaxData(limit: number): void {
    this.maxSend = Math.max(this.maxSend, limit);
    if (this.hasData) this.carrier.wants(this);
  }

  onStopSending(code: number): void {
    if (this.#sendOver) return;
    const error = transportError('the peer does not want the stream', 'stream', code);
    this.#writer?.error(error);
    this.#giveUp(error);
    this.#reset(code);
  }

  #reset(code: number): void {
    if (this.#sendOver) return;
    this.#giveUp(transportError('the stream was aborted', 'stream', code));
    this.#sendOver = true;
    this.carrier.sendControl(capsule(capsuleType.resetStream, [this.id, code, this.#sentBytes]));
    this.#leave();
  }

  #giveUp(error: unknown): void {
    for (const piece of this.#queue) piece.failed(error);
    this.#queue = [];
    this.#finish?.failed(error);
    this.#finish = undefined;
  }

  // ---- the end

  #leave(): void {
    if (this.#receiveOver && this.#sendOver) this.carrier.forget(this);
  }

  /** The session is over. */
  end(error: unknown): void {
    if (!this.#receiveOver) {
      this.#receiveOver = true;
      this.#fail(error);
    }
    if (!this.#sendOver) {
      this.#sendOver = true;
      this.#writer?.error(error);
      this.#giveUp(error);
    }
  }
}

export function bytesOf(chunk: BufferSource): Uint8Array {
  // Copied, as the application may reuse its buffer once `write` has returned.
  if (chunk instanceof ArrayBuffer) return new Uint8Array(chunk.slice(0));
  const view = chunk as ArrayBufferView;
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength).slice();
}
