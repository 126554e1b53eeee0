// Capsules of WebTransport over HTTP/2 (draft-ietf-webtrans-http2-15 §9), which tern also sends as
// messages of a WebSocket (docs/webtransport.md).

export const capsuleType = {
  datagram: 0x00,
  closeSession: 0x2843,
  drainSession: 0x78ae,
  resetStream: 0x190b4d39,
  stopSending: 0x190b4d3a,
  streamWithFin: 0x190b4d3b,
  stream: 0x190b4d3c,
  maxData: 0x190b4d3d,
  maxStreamData: 0x190b4d3e,
  maxStreamsBidirectional: 0x190b4d3f,
  maxStreamsUnidirectional: 0x190b4d40,
} as const;

function varintSize(value: number): number {
  return value < 0x40 ? 1 : value < 0x4000 ? 2 : value < 0x4000_0000 ? 4 : 8;
}

function writeVarint(out: DataView, at: number, value: number): number {
  const size = varintSize(value);
  if (size === 1) out.setUint8(at, value);
  else if (size === 2) out.setUint16(at, value | 0x4000);
  else if (size === 4) out.setUint32(at, (value | 0x8000_0000) >>> 0);
  else {
    out.setUint32(at, (Math.floor(value / 0x1_0000_0000) | 0xc000_0000) >>> 0);
    out.setUint32(at + 4, value >>> 0);
  }
  return at + size;
}

/** A capsule whose payload is `values` as varints, and `tail` behind them. */
export function capsule(type: number, values: number[], tail?: Uint8Array): Uint8Array<ArrayBuffer> {
  let length = tail?.byteLength ?? 0;
  for (const value of values) length += varintSize(value);
  const bytes = new Uint8Array(varintSize(type) + varintSize(length) + length);
  const view = new DataView(bytes.buffer);
  let at = writeVarint(view, writeVarint(view, 0, type), length);
  for (const value of values) at = writeVarint(view, at, value);
  if (tail) bytes.set(tail, at);
  return bytes;
}

/** Reads varints and what is behind them. Throws a RangeError at the end of the bytes. */
export class Reader {
  #view: DataView;
  #at = 0;

  constructor(readonly bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get atEnd(): boolean {
    return this.#at === this.bytes.byteLength;
  }

  varint(): number {
    const first = this.#view.getUint8(this.#at);
    const size = 1 << (first >> 6);
    let value = first & 0x3f;
    for (let i = 1; i < size; ++i) value = value * 256 + this.#view.getUint8(this.#at + i);
    this.#at += size;
    return value;
  }

  uint32(): number {
    const value = this.#view.getUint32(this.#at);
    this.#at += 4;
    return value;
  }

  take(count: number): Uint8Array {
    if (count > this.bytes.byteLength - this.#at) throw new RangeError('the capsule is cut short');
    const part = this.bytes.subarray(this.#at, this.#at + count);
    this.#at += count;
    return part;
  }

  rest(): Uint8Array {
    return this.take(this.bytes.byteLength - this.#at);
  }
}

export interface Capsule {
  type: number;
  payload: Reader;
}

/** Cuts messages into capsules; a capsule may go on in the next message. */
export class CapsuleReader {
  #kept: Uint8Array = new Uint8Array(0);

  *feed(message: Uint8Array): Generator<Capsule> {
    let bytes = message;
    if (this.#kept.byteLength > 0) {
      bytes = new Uint8Array(this.#kept.byteLength + message.byteLength);
      bytes.set(this.#kept);
      bytes.set(message, this.#kept.byteLength);
    }
    let at = 0;
    while (at < bytes.byteLength) {
      const reader = new Reader(bytes.subarray(at));
      let type: number;
      let payload: Uint8Array;
      try {
        type = reader.varint();
        payload = reader.take(reader.varint());
      } catch (error) {
        if (error instanceof RangeError) break; // the rest is still to come
        throw error;
      }
      yield { type, payload: new Reader(payload) };
      at = payload.byteOffset + payload.byteLength - bytes.byteOffset;
    }
    this.#kept = bytes.slice(at);
  }
}
