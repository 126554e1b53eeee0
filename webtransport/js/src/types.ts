// The part of the W3C's WebTransport interface that is the same on every carrier. The browser's own
// object has it all, and more.

export interface CloseInfo {
  closeCode?: number;
  reason?: string;
}

export interface BidirectionalStream {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<BufferSource>;
}

export interface DatagramDuplex {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<BufferSource>;
  readonly maxDatagramSize: number;
}

export interface Transport {
  readonly ready: Promise<unknown>;
  readonly closed: Promise<CloseInfo>;
  readonly draining: Promise<unknown>;
  /** The application protocol that the server has chosen; empty without one. */
  readonly protocol: string;
  /** 'reliable-only': nothing is lost, datagrams included, and what is late makes the rest late. */
  readonly reliability: 'pending' | 'reliable-only' | 'supports-unreliable';
  readonly datagrams: DatagramDuplex;
  readonly incomingBidirectionalStreams: ReadableStream<BidirectionalStream>;
  readonly incomingUnidirectionalStreams: ReadableStream<ReadableStream<Uint8Array>>;
  createBidirectionalStream(): Promise<BidirectionalStream>;
  createUnidirectionalStream(): Promise<WritableStream<BufferSource>>;
  close(info?: CloseInfo): void;
}
