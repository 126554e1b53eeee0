// @moq/web-transport, WebTransport over HTTP/3 for Node.js in Rust (quinn), by its native interface:
//   SSL_CERT_FILE=ca.pem node moq_wt.mjs client MODULE https://localhost:PORT
//   node moq_wt.mjs server MODULE PORT cert.pem key.pem
//
// The client prints one JSON object with what it saw, and decides nothing. The server echoes: streams of both kinds, datagrams;
// and closes the session when it is told to.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const [role, module, ...rest] = process.argv.slice(2);
const { NapiClient, NapiServer } = createRequire(import.meta.url)(`${module}/napi.cjs`);

const pattern = (size, seed) => Buffer.from(new Uint8Array(size).map((_, i) => (i * 31 + seed + (i >> 7)) % 256));

async function readAll(stream) {
  const pieces = [];
  for (let piece; (piece = await stream.read(65536)) !== null;) pieces.push(piece);
  return Buffer.concat(pieces);
}

async function send(stream, bytes) {
  for (let at = 0; at < bytes.length; at += 50_000) await stream.write(bytes.subarray(at, at + 50_000));
  await stream.finish();
}

const within = (seconds, promise) =>
  Promise.race([promise, new Promise((resolve) => setTimeout(() => resolve('nothing in time'), 1000 * seconds))]);

async function client(origin) {
  const connect = (path, protocols) => NapiClient.withSystemRoots().connect(`${origin}${path}`, { protocols });
  const session = await connect('/wt/echo', ['none', 'echo v1']);
  const seen = { client: 'moq', protocol: session.protocol };
  seen.bidirectional = await Promise.all([1, 1000, 70_000, 1_000_000].map(async (size) => {
    const sent = pattern(size, size);
    const stream = await session.openBi();
    const [got] = await within(30, Promise.all([readAll(stream.takeRecv()), send(stream.takeSend(), sent)]));
    return sent.equals(got);
  }));
  // What goes on a unidirectional stream comes back on one of the server's.
  const texts = ['one', 'two', 'three'];
  const back = Promise.all(texts.map(async () => (await readAll(await session.acceptUni())).toString()));
  for (const text of texts) await send(await session.openUni(), Buffer.from(text));
  seen.unidirectional = (await within(20, back)).sort?.();
  const stream = await session.openBi();
  const [sending, receiving] = [stream.takeSend(), stream.takeRecv()];
  await sending.write(Buffer.from('half'));
  await receiving.read(10);
  await sending.reset(77);
  seen.reset = await within(20, readAll(receiving).then(() => 'an end', (error) => String(error)));
  seen.datagrams = 0;
  for (let i = 0; i < 10; ++i) {
    session.sendDatagram(pattern(100, i));
    const got = await within(5, session.recvDatagram());
    if (got.equals?.(pattern(100, i))) ++seen.datagrams;
  }
  session.close(7, 'seen');
  // What it says of its own close is that the connection is closed.
  seen.closed = await within(5, session.closed().then(() => 'closed'));
  seen.nowhere = await connect('/wt/nowhere').then(() => 'opened', (error) => String(error));
  console.log(JSON.stringify(seen));
  process.exit(0);
}

async function echo(session) {
  await Promise.allSettled([
    (async () => { for (;;) session.sendDatagram(await session.recvDatagram()); })(),
    (async () => {
      for (;;) {
        const stream = await session.acceptBi();
        const [receiving, sending] = [stream.takeRecv(), stream.takeSend()];
        (async () => {
          const bytes = await readAll(receiving);
          if (bytes.toString() === 'close\n') session.close(7, 'seen');
          else await send(sending, bytes);
        })().catch(() => {});
      }
    })(),
    (async () => {
      for (;;) {
        const receiving = await session.acceptUni();
        (async () => send(await session.openUni(), await readAll(receiving)))().catch(() => {});
      }
    })(),
  ]);
  console.log(JSON.stringify({ closed: await session.closed() }));
}

async function server(port, certificate, key) {
  const listening = NapiServer.bind(`[::]:${port}`, readFileSync(certificate), readFileSync(key));
  console.log('listening');
  for (let request; (request = await listening.accept()) !== null;) request.ok().then(echo, () => {});
}

await (role === 'client' ? client(...rest) : server(...rest));
