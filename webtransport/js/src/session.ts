import { capsule, CapsuleReader, capsuleType, type Reader } from './capsules.js';
import { transportError } from './errors.js';
import { bytesOf, Stream, type Carrier } from './stream.js';
import type { BidirectionalStream, CloseInfo, DatagramDuplex, Transport } from './types.js';

// What each end lets the other do before any capsule (docs/webtransport.md).
const initialData = 256 * 1024;
const initialStreamData = 64 * 1024;
const initialStreams = 100;

const maxDatagramSize = 16 * 1024;
const maxIncomingDatagrams = 128;
/** Bytes the socket may hold before streams wait. Datagrams do not wait, and are dropped instead. */
const socketHighWater = 128 * 1024;
const pollInterval = 5;
/** How long the server's end is waited for after ours. */
const closeTimeout = 5000;

const subprotocol = 'webtransport';

/** The subprotocol that stands for an application protocol. */
function subprotocolOf(protocol: string): string {
  const escaped = encodeURIComponent(protocol).replace(
    /[!'()*]/g,
    (c) => '%' + c.charCodeAt(0).toString(16).toUpperCase(),
  );
  return `${subprotocol}.${escaped}`;
}

interface Kind {
  /** Streams of ours: opened, and how many may be. */
  opened: number;
  allowed: number;
  waiting: (() => void)[];
  /** Streams of the server's: opened, over, and how many it was allowed. */
  accepted: number;
  ended: number;
  granted: number;
}

function kind(): Kind {
  return {
    opened: 0,
    allowed: initialStreams,
    waiting: [],
    accepted: 0,
    ended: 0,
    granted: initialStreams,
  };
}

/** A WebTransport session over WebSocket, with the interface of the browser's own. */
export class WebSocketTransport implements Transport, Carrier {
  readonly ready: Promise<undefined>;
  readonly closed: Promise<CloseInfo>;
  readonly draining: Promise<undefined>;
  readonly datagrams: DatagramDuplex;
  readonly incomingBidirectionalStreams: ReadableStream<BidirectionalStream>;
  readonly incomingUnidirectionalStreams: ReadableStream<ReadableStream<Uint8Array>>;

  #socket: WebSocket;
  #reader = new CapsuleReader();
  #state: 'connecting' | 'open' | 'ended' = 'connecting';
  #protocol = '';
  #streams = new Map<number, Stream>();
  #bidirectional = kind();
  #unidirectional = kind();
  #readyStreams = new Set<Stream>();
  #poll: ReturnType<typeof setTimeout> | undefined;

  #received = 0;
  #read = 0;
  #maxReceive = initialData;
  #sent = 0;
  #maxSend = initialData;

  #incomingDatagrams: Uint8Array[] = [];
  #datagramWanted: ((datagram: Uint8Array | undefined) => void) | undefined;
  #datagramController: ReadableStreamDefaultController<Uint8Array> | undefined;
  #streamControllers: ReadableStreamDefaultController<unknown>[] = [];

  #resolveReady!: (value: undefined) => void;
  #rejectReady!: (error: unknown) => void;
  #resolveClosed!: (info: CloseInfo) => void;
  #rejectClosed!: (error: unknown) => void;
  #resolveDraining!: (value: undefined) => void;

  constructor(url: string | URL, protocols: string[] = []) {
    this.ready = new Promise((resolve, reject) => {
      this.#resolveReady = resolve;
      this.#rejectReady = reject;
    });
    this.closed = new Promise((resolve, reject) => {
      this.#resolveClosed = resolve;
      this.#rejectClosed = reject;
    });
    this.draining = new Promise((resolve) => (this.#resolveDraining = resolve));
    // Whoever does not look at them is not to be told of an unhandled rejection.
    this.ready.catch(() => {});
    this.closed.catch(() => {});

    let accept: ReadableStreamDefaultController<BidirectionalStream> | undefined;
    this.incomingBidirectionalStreams = new ReadableStream({
      start: (controller) => {
        accept = controller;
      },
    });
    let acceptOneWay: ReadableStreamDefaultController<ReadableStream<Uint8Array>> | undefined;
    this.incomingUnidirectionalStreams = new ReadableStream({
      start: (controller) => {
        acceptOneWay = controller;
      },
    });
    this.#streamControllers = [accept!, acceptOneWay!];
    this.datagrams = this.#makeDatagrams();

    const target = new URL(url);
    target.protocol = target.protocol === 'http:' || target.protocol === 'ws:' ? 'ws:' : 'wss:';
    this.#socket = new WebSocket(target, [...protocols.map(subprotocolOf), subprotocol]);
    this.#socket.binaryType = 'arraybuffer';
    this.#socket.onopen = () => this.#onOpen();
    this.#socket.onmessage = (event: MessageEvent<unknown>) => this.#onMessage(event.data);
    this.#socket.onclose = (event) => this.#onClose(event);
  }

  get protocol(): string {
    return this.#protocol;
  }

  get reliability(): 'pending' | 'reliable-only' {
    return this.#state === 'connecting' ? 'pending' : 'reliable-only';
  }

  // ---- the application

  async createBidirectionalStream(): Promise<BidirectionalStream> {
    const stream = await this.#open(this.#bidirectional, 0);
    return { readable: stream.readable!, writable: stream.writable! };
  }

  async createUnidirectionalStream(): Promise<WritableStream<BufferSource>> {
    const stream = await this.#open(this.#unidirectional, 2);
    return stream.writable!;
  }

  close(info: CloseInfo = {}): void {
    if (this.#state === 'ended') return;
    const code = (info.closeCode ?? 0) >>> 0;
    const reason = cut(info.reason ?? '');
    if (this.#state === 'open') {
      const payload = new Uint8Array(4 + reason.byteLength);
      new DataView(payload.buffer).setUint32(0, code);
      payload.set(reason, 4);
      this.#socket.send(capsule(capsuleType.closeSession, [], payload));
    }
    this.#socket.close();
    this.#end({ closeCode: code, reason: info.reason ?? '' });
    // The promise of `closed` is not kept by a server that is silent; the browser gives up itself.
    setTimeout(() => this.#socket.close(), closeTimeout);
  }

  // ---- streams

  async #open(kinds: Kind, bits: number): Promise<Stream> {
    await this.ready;
    while (this.#state === 'open' && kinds.opened >= kinds.allowed) {
      await new Promise<void>((resolve) => kinds.waiting.push(resolve));
    }
    if (this.#state !== 'open') throw transportError('the session is closed', 'session');
    return this.#add(kinds.opened++ * 4 + bits, bits === 0);
  }

  #add(id: number, bidirectional: boolean): Stream {
    const ours = (id & 1) === 0;
    const stream = new Stream(
      id,
      this,
      bidirectional || !ours,
      bidirectional || ours,
      initialStreamData,
      initialStreamData,
    );
    this.#streams.set(id, stream);
    return stream;
  }

  /** The stream of an ID in the server's capsule. Undefined: it is over. Throws when it cannot be. */
  #find(id: number): Stream | undefined {
    const oneWay = (id & 2) !== 0;
    const kinds = oneWay ? this.#unidirectional : this.#bidirectional;
    const number = Math.floor(id / 4);
    if ((id & 1) === 0) {
      if (number >= kinds.opened) throw new Error('a capsule about a stream that was not opened');
      return this.#streams.get(id);
    }
    if (number >= kinds.granted) throw new Error('more streams than allowed');
    for (; kinds.accepted <= number; ++kinds.accepted) {
      const stream = this.#add(kinds.accepted * 4 + (id & 3), !oneWay);
      this.#streamControllers[oneWay ? 1 : 0]?.enqueue(
        oneWay ? stream.readable : { readable: stream.readable, writable: stream.writable },
      );
    }
    return this.#streams.get(id);
  }

  // ---- of Carrier

  sendControl(bytes: Uint8Array<ArrayBuffer>): void {
    if (this.#state === 'open') this.#socket.send(bytes);
  }

  wants(stream: Stream): void {
    this.#readyStreams.add(stream);
    this.#flush();
  }

  credit(count: number): void {
    this.#read += count;
    if (this.#maxReceive - this.#read > initialData / 2) return;
    this.#maxReceive = this.#read + initialData;
    this.sendControl(capsule(capsuleType.maxData, [this.#maxReceive]));
  }

  forget(stream: Stream): void {
    if (!this.#streams.delete(stream.id)) return;
    this.#readyStreams.delete(stream);
    if ((stream.id & 1) === 0) return;
    const oneWay = (stream.id & 2) !== 0;
    const kinds = oneWay ? this.#unidirectional : this.#bidirectional;
    ++kinds.ended;
    if (kinds.ended + initialStreams - kinds.granted < initialStreams / 2) return;
    kinds.granted = kinds.ended + initialStreams;
    this.sendControl(
      capsule(
        oneWay ? capsuleType.maxStreamsUnidirectional : capsuleType.maxStreamsBidirectional,
        [kinds.granted],
      ),
    );
  }

  /** Sends what windows and the socket allow, each stream in its turn. */
  #flush(): void {
    if (this.#state !== 'open') return;
    let stuck = 0;
    while (this.#readyStreams.size > stuck) {
      if (this.#socket.bufferedAmount > socketHighWater) {
        this.#poll ??= setTimeout(() => {
          this.#poll = undefined;
          this.#flush();
        }, pollInterval);
        return;
      }
      const [stream] = this.#readyStreams;
      if (!stream) return;
      this.#readyStreams.delete(stream);
      const next = stream.next(this.#maxSend - this.#sent);
      if (next) {
        this.#sent += next.size;
        this.#socket.send(next.bytes);
        if (stream.hasData) this.#readyStreams.add(stream);
        stuck = 0;
      } else if (stream.hasData && !stream.blocked) {
        this.#readyStreams.add(stream); // waits for the session's window
        ++stuck;
      }
    }
  }

  // ---- datagrams

  #makeDatagrams(): DatagramDuplex {
    const readable = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#datagramController = controller;
        },
        pull: async (controller) => {
          const next =
            this.#incomingDatagrams.shift() ??
            (await new Promise<Uint8Array | undefined>((resolve) => {
              this.#datagramWanted = resolve;
            }));
          if (next) controller.enqueue(next);
        },
      },
      { highWaterMark: 0 },
    );
    const writable = new WritableStream<BufferSource>({
      write: async (chunk) => {
        await this.ready;
        const bytes = bytesOf(chunk);
        // A datagram that has no place is one that was lost.
        if (bytes.byteLength > maxDatagramSize) return;
        if (this.#socket.bufferedAmount > socketHighWater) return;
        this.sendControl(capsule(capsuleType.datagram, [], bytes));
      },
    });
    return { readable, writable, maxDatagramSize };
  }

  #onDatagram(bytes: Uint8Array): void {
    if (this.#datagramWanted) {
      const wanted = this.#datagramWanted;
      this.#datagramWanted = undefined;
      wanted(bytes);
      return;
    }
    if (this.#incomingDatagrams.length === maxIncomingDatagrams) this.#incomingDatagrams.shift();
    this.#incomingDatagrams.push(bytes);
  }

  // ---- the socket

  #onOpen(): void {
    const chosen = this.#socket.protocol;
    if (chosen !== subprotocol && !chosen.startsWith(subprotocol + '.')) {
      this.#socket.close(1002, 'subprotocol webtransport is wanted');
      this.#fail('the server speaks WebSocket here, but no WebTransport over it');
      return;
    }
    this.#protocol = decodeURIComponent(chosen.slice(subprotocol.length + 1));
    this.#state = 'open';
    this.#resolveReady(undefined);
  }

  #onMessage(data: unknown): void {
    if (this.#state !== 'open') return;
    try {
      if (!(data instanceof ArrayBuffer)) throw new Error('a text message among capsules');
      for (const { type, payload } of this.#reader.feed(new Uint8Array(data))) {
        this.#onCapsule(type, payload);
      }
    } catch (error) {
      this.#socket.close(1000);
      this.#fail(error instanceof RangeError ? 'a malformed capsule' : (error as Error).message);
    }
  }

  #onCapsule(type: number, payload: Reader): void {
    switch (type) {
      case capsuleType.datagram:
        this.#onDatagram(payload.rest().slice());
        break;
      case capsuleType.stream:
      case capsuleType.streamWithFin: {
        const stream = this.#find(payload.varint());
        const bytes = payload.rest();
        if (!stream?.readable) throw new Error('data on a stream that has ended');
        this.#received += bytes.byteLength;
        if (this.#received > this.#maxReceive) throw new Error('more data than allowed');
        const wrong = stream.onData(bytes, type === capsuleType.streamWithFin);
        if (wrong) throw new Error(wrong);
        break;
      }
      case capsuleType.resetStream: {
        const stream = this.#find(payload.varint());
        if (!stream?.readable) throw new Error('a reset of a stream that has ended');
        const wrong = stream.onReset(payload.varint(), payload.varint());
        if (wrong) throw new Error(wrong);
        break;
      }
      case capsuleType.stopSending:
        this.#find(payload.varint())?.onStopSending(payload.varint());
        break;
      case capsuleType.maxData:
        this.#maxSend = Math.max(this.#maxSend, payload.varint());
        this.#flush();
        break;
      case capsuleType.maxStreamData:
        this.#find(payload.varint())?.onMaxData(payload.varint());
        break;
      case capsuleType.maxStreamsBidirectional:
        this.#onMaxStreams(this.#bidirectional, payload.varint());
        break;
      case capsuleType.maxStreamsUnidirectional:
        this.#onMaxStreams(this.#unidirectional, payload.varint());
        break;
      case capsuleType.drainSession:
        this.#resolveDraining(undefined);
        break;
      case capsuleType.closeSession: {
        const closeCode = payload.uint32();
        const reason = new TextDecoder('utf-8', { fatal: true }).decode(payload.rest());
        this.#socket.close(1000);
        this.#end({ closeCode, reason });
        break;
      }
      default: // of an extension, or padding
    }
  }

  #onMaxStreams(kinds: Kind, allowed: number): void {
    kinds.allowed = Math.max(kinds.allowed, allowed);
    for (const resolve of kinds.waiting.splice(0)) resolve();
  }

  #onClose(event: CloseEvent): void {
    if (this.#state === 'connecting') this.#fail('the WebSocket was refused');
    else if (event.code === 1000) this.#end({ closeCode: 0, reason: '' });
    else this.#fail(`the WebSocket has ended (${event.code} ${event.reason})`.replace(' )', ')'));
  }

  #fail(message: string): void {
    if (this.#state === 'ended') return;
    const error = transportError(message, 'session');
    this.#state = 'ended';
    this.#rejectReady(error);
    this.#endStreams(error);
    for (const controller of this.#streamControllers) controller.error(error);
    this.#datagramController?.error(error);
    this.#rejectClosed(error);
  }

  #end(info: CloseInfo): void {
    if (this.#state === 'ended') return;
    const error = transportError('the session is closed', 'session');
    this.#state = 'ended';
    this.#rejectReady(error);
    this.#endStreams(error);
    for (const controller of this.#streamControllers) controller.close();
    this.#datagramController?.close();
    this.#resolveClosed(info);
  }

  #endStreams(error: unknown): void {
    if (this.#poll !== undefined) clearTimeout(this.#poll);
    this.#datagramWanted?.(undefined);
    this.#readyStreams.clear();
    for (const stream of this.#streams.values()) stream.end(error);
    this.#streams.clear();
    for (const kinds of [this.#bidirectional, this.#unidirectional]) {
      for (const resolve of kinds.waiting.splice(0)) resolve();
    }
  }
}

/** As UTF-8, the longest beginning of at most 1024 bytes that does not cut a character. */
function cut(reason: string): Uint8Array {
  const bytes = new TextEncoder().encode(reason);
  let end = Math.min(bytes.byteLength, 1024);
  while (end < bytes.byteLength && end > 0 && (bytes[end]! & 0xc0) === 0x80) --end;
  return bytes.subarray(0, end);
}
