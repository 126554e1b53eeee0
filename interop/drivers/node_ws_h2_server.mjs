// An echo of WebSockets over HTTP/2 (RFC 8441) in Node.js: node_ws_h2_server.mjs '{"port", "cert", "key", "slow"}'
//
// Node's HTTP/2 knows extended CONNECT and no WebSockets: frames are cut out here, unmasked, and sent back as they came. slow: it waits
// so many milliseconds after each piece that it reads.
import { readFileSync } from 'node:fs';
import { createSecureServer } from 'node:http2';

const { port, cert, key, slow } = JSON.parse(process.argv[2]);

/** Whole frames at the front of `bytes`, as a server sends them, and what is left. */
function echo(bytes) {
  const out = [];
  let at = 0;
  while (at + 6 <= bytes.length) {
    let size = bytes[at + 1] & 127;
    let head = 2;
    if (size === 126) [size, head] = [bytes.readUInt16BE(at + 2), 4];
    else if (size === 127) {
      if (at + 10 > bytes.length) break;
      [size, head] = [Number(bytes.readBigUInt64BE(at + 2)), 10];
    }
    if (at + head + 4 + size > bytes.length) break;
    const mask = bytes.subarray(at + head, at + head + 4);
    const payload = Buffer.from(bytes.subarray(at + head + 4, at + head + 4 + size));
    for (let i = 0; i < size; ++i) payload[i] ^= mask[i & 3];
    const first = Buffer.from(bytes.subarray(at, at + head));
    first[1] &= 127;
    out.push(first, payload);
    at += head + 4 + size;
  }
  return [Buffer.concat(out), bytes.subarray(at)];
}

async function serve(stream, headers) {
  if (headers[':protocol'] !== 'websocket') return stream.respond({ ':status': 405 }, { endStream: true });
  stream.respond({ ':status': 200 });
  let rest = Buffer.alloc(0);
  for await (const piece of stream) {
    const [out, left] = echo(Buffer.concat([rest, piece]));
    rest = left;
    if (slow) await new Promise((done) => setTimeout(done, slow));
    if (!stream.write(out)) await new Promise((done) => stream.once('drain', done));
  }
  stream.end();
}

const server = createSecureServer({
  cert: readFileSync(cert), key: readFileSync(key), settings: { enableConnectProtocol: true },
});
server.on('stream', (stream, headers) => {
  stream.on('error', () => {}); // the client's business
  serve(stream, headers).catch(() => stream.close());
});
server.listen(port, '127.0.0.1', () => console.log('READY'));
