// Compiled and not run: what a user writes has types, and what is wrong is told before it runs.
import { connect, type Connection, type ConnectOptions } from '../dist/index.js';

const options: ConnectOptions = {
  protocols: ['chat.v1'],
  carriers: ['native', 'websocket'],
  headStart: 100,
  timeout: 1000,
  websocketUrl: new URL('wss://example.org/'),
  serverCertificateHashes: [{ algorithm: 'sha-256', value: new Uint8Array(32) }],
};

export async function use(): Promise<number> {
  const session: Connection = await connect('https://example.org/', options);
  const carrier: 'native' | 'websocket' = session.carrier;
  const { readable, writable } = await session.createBidirectionalStream();
  await writable.getWriter().write(new Uint8Array(1));
  const { value } = await readable.getReader().read();
  const { closeCode = 0 } = await session.closed;
  // @ts-expect-error: no such carrier
  await connect('https://example.org/', { carriers: ['carrier pigeon'] });
  // @ts-expect-error: a number
  await connect('https://example.org/', { timeout: 'soon' });
  // @ts-expect-error: no such option
  await connect('https://example.org/', { headstart: 1 });
  // @ts-expect-error: cannot be set
  session.carrier = 'native';
  return closeCode + (value?.byteLength ?? 0) + carrier.length;
}
