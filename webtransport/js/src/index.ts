// tern-webtransport: the browser's own WebTransport where it connects, else the same interface over
// WebSocket.

import { transportError } from './errors.js';
import { WebSocketTransport } from './session.js';
import type { Transport } from './types.js';

export { WebSocketTransport } from './session.js';
export type { TransportError } from './errors.js';
export type {
  BidirectionalStream,
  CloseInfo,
  DatagramDuplex,
  Transport,
} from './types.js';

export interface ConnectOptions {
  /** Application protocols, the best first. */
  protocols?: string[];
  /** What may be used. Default: both, the browser's own first. */
  carriers?: ('native' | 'websocket')[];
  /** Milliseconds after which the WebSocket is tried as well. Default 500. */
  headStart?: number;
  /** Milliseconds until everything is given up. Default 10,000. */
  timeout?: number;
  /** For the WebSocket, if it is not `url` with wss. */
  websocketUrl?: string | URL;
  /** Of the browser's own WebTransport; a WebSocket knows no such thing. */
  serverCertificateHashes?: { algorithm: string; value: BufferSource }[];
}

/** A session, and what carries it. */
export type Connection = Transport & { readonly carrier: 'native' | 'websocket' };

type NativeConstructor = new (url: string, options?: object) => Transport;

/** Until when the browser's own WebTransport is not tried again, by origin. */
const failedUntil = new Map<string, number>();
const failureExpiry = 5 * 60 * 1000;

function withCarrier(transport: Transport, carrier: 'native' | 'websocket'): Connection {
  Object.defineProperty(transport, 'carrier', { value: carrier, enumerable: true });
  return transport as Connection;
}

type Timer = ReturnType<typeof setTimeout>;

function after(milliseconds: number, timers: Timer[]): Promise<void> {
  return new Promise((resolve) => timers.push(setTimeout(resolve, milliseconds)));
}

/**
 * Opens a session and waits until it is ready. The browser's own WebTransport begins; when it has
 * failed, or is not ready after `headStart`, a WebSocket begins beside it, and whichever is ready
 * first is taken. Where the own one has failed and the WebSocket has not, the next five minutes
 * begin with the WebSocket.
 */
export async function connect(url: string | URL, options: ConnectOptions = {}): Promise<Connection> {
  const target = new URL(url, globalThis.location?.href);
  const native = (globalThis as unknown as { WebTransport?: NativeConstructor }).WebTransport;
  const carriers = options.carriers ?? ['native', 'websocket'];
  const tryNative = native !== undefined && carriers.includes('native');
  const trySocket = carriers.includes('websocket');
  if (!tryNative && !trySocket) {
    throw transportError('this browser has no WebTransport', 'session');
  }
  const distrusted = trySocket && (failedUntil.get(target.origin) ?? 0) > Date.now();

  let taken = false;
  let own: Transport | undefined;
  let socket: Transport | undefined;
  const attempts: Promise<Connection>[] = [];
  const timers: Timer[] = [];

  if (tryNative && !distrusted) {
    const { protocols, serverCertificateHashes } = options;
    own = new native(target.href, {
      ...(protocols ? { protocols } : {}),
      ...(serverCertificateHashes ? { serverCertificateHashes } : {}),
    });
    own.closed.catch(() => {});
    const begun = own;
    attempts.push(
      begun.ready.then(() => {
        if (!taken) failedUntil.delete(target.origin);
        return withCarrier(begun, 'native');
      }),
    );
  }
  if (trySocket) {
    const first = attempts[0];
    attempts.push(
      (async () => {
        let ready = false;
        if (first) {
          const tried = first.then(
            () => (ready = true),
            () => {},
          );
          await Promise.race([after(options.headStart ?? 500, timers), tried]);
        }
        if (ready || taken) throw transportError('not needed', 'session');
        const fallback = new WebSocketTransport(options.websocketUrl ?? target, options.protocols);
        socket = fallback;
        await fallback.ready;
        return withCarrier(fallback, 'websocket');
      })(),
    );
  }
  const late = after(options.timeout ?? 10_000, timers).then(() => {
    throw transportError('no connection in time', 'session');
  });
  late.catch(() => {});

  let winner: Connection | undefined;
  try {
    winner = await Promise.race([Promise.any(attempts), late]);
    return winner;
  } catch (error) {
    throw error instanceof AggregateError ? error.errors[error.errors.length - 1] : error;
  } finally {
    taken = true;
    timers.forEach(clearTimeout);
    if (socket && socket !== winner) close(socket);
    if (own && own !== winner) {
      if (winner) watch(own, target.origin);
      else close(own);
    }
  }
}

/** The WebSocket was first. What becomes of the browser's own decides how the next one begins. */
function watch(own: Transport, origin: string): void {
  own.ready.then(
    () => close(own),
    () => failedUntil.set(origin, Date.now() + failureExpiry),
  );
}

function close(transport: Transport): void {
  try {
    transport.close();
  } catch {
    // It has not connected.
  }
}
