// HTTP clients of Node.js against tern's demo site:
//
//   NODE_EXTRA_CA_CERTS=ca.pem node node_client.mjs '{"client", "module", "url"}'
//
// `client`: "undici-h2", "undici-h1" (both with the package at `module`), or "http2" and "https", which
// are Node's own. Prints one JSON object with what came back; it decides nothing, interop/run compares.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import http2 from 'node:http2';
import https from 'node:https';
import { createRequire } from 'node:module';
import { connect as connectTls } from 'node:tls';

const options = JSON.parse(process.argv[2]);
const origin = new URL(options.url).origin;
const posted = Uint8Array.from({ length: 300000 }, (_, i) => (i * 7 + (i >> 8)) % 256);
const type = { 'content-type': 'application/x-tern-interop' };
const uploadSize = 10_000_000;

async function* upload() { // 10 MB that the demo's /bytes would answer, in odd pieces
  for (let at = 0; at < uploadSize;) {
    const size = Math.min(50_003, uploadSize - at);
    yield Uint8Array.from({ length: size }, (_, i) => (at + i) % 251);
    at += size;
  }
}

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

// The status, length and SHA-256 of a body that is read after `delay`.
async function answer(status, headers, body, delay = 0) {
  if (delay) await pause(delay);
  const hash = createHash('sha256');
  let length = 0;
  for await (const piece of body) {
    hash.update(piece);
    length += piece.length;
  }
  return {
    status, length, sha256: hash.digest('hex'),
    type: headers['content-type'] ?? '', declared: headers['content-length'] ?? '',
    altSvc: headers['alt-svc'] ?? '',
  };
}

async function everything(request) {
  return {
    small: await request('GET', '/hello'),
    large: await request('GET', '/bytes/20000000'),
    post: await request('POST', '/echo', { headers: type, body: posted }),
    head: await request('HEAD', '/bytes/1000'),
    missing: await request('GET', '/no-such-page'),
    // Nobody reads for a while: what the echo cannot send back stops the upload, not the memory.
    upload: await request('POST', '/echo', { body: upload(), delay: 500 }),
    parallel: await Promise.all(
      Array.from({ length: 100 }, (_, i) => request('GET', `/bytes/${1000 + i}`))),
  };
}

// --- undici -------------------------------------------------------------------------------------

async function undici(allowH2) {
  const { Pool } = createRequire(import.meta.url)(options.module);
  const pool = new Pool(origin, {
    allowH2, connections: 1, pipelining: allowH2 ? 100 : 10, connect: { ca: process.env.CA },
  });
  let connections = 0;
  pool.on('connect', () => ++connections);
  const seen = await everything(async (method, path, { headers, body, delay } = {}) => {
    const response = await pool.request({ method, path, headers, body });
    return answer(response.statusCode, response.headers, response.body, delay);
  });
  await pool.close();
  return { ...seen, connections };
}

// --- node:http2 ---------------------------------------------------------------------------------

async function write(stream, body) {
  for await (const piece of body) {
    if (!stream.write(piece)) await once(stream, 'drain');
  }
}

async function http2Request(session, method, path, { headers, body, delay } = {}) {
  const stream = session.request({ ':method': method, ':path': path, ...headers }, {
    endStream: !body,
  });
  const responded = once(stream, 'response');
  const sent = body instanceof Uint8Array ? stream.end(body)
    : body && write(stream, body).then(() => stream.end());
  const [head] = await responded;
  const result = await answer(head[':status'], head, stream, delay);
  await sent;
  return result;
}

// 100 (Continue) before the body, and fields after it.
async function http2Expect(session) {
  const stream = session.request(
    { ':method': 'POST', ':path': '/echo', expect: '100-continue', trailer: 'x-checksum' },
    { waitForTrailers: true });
  const responded = once(stream, 'response');
  stream.on('wantTrailers', () => stream.sendTrailers({ 'x-checksum': '0815' }));
  await once(stream, 'continue');
  stream.end(posted);
  const [head] = await responded;
  return answer(head[':status'], head, stream);
}

// A tunnel that nobody offers, and what the connection is worth after it.
async function http2Connect(session) {
  const stream = session.request({ ':method': 'CONNECT', ':authority': 'example.com:443' });
  stream.on('error', () => {});
  const [head] = await once(stream, 'response');
  stream.destroy();
  return head[':status'];
}

async function nodeHttp2() {
  const session = http2.connect(origin, { ca: process.env.CA });
  await once(session, 'remoteSettings');
  const seen = await everything((...request) => http2Request(session, ...request));
  seen.expect = await http2Expect(session);
  seen.connect = await http2Connect(session);
  seen.ping = await new Promise((resolve) => session.ping((error) => resolve(!error)));
  seen.extendedConnect = session.remoteSettings.enableConnectProtocol;
  // An upload that is given up in the middle leaves the others alone.
  const abandoned = session.request({ ':method': 'POST', ':path': '/echo' });
  abandoned.on('error', () => {});
  abandoned.write(posted);
  await once(abandoned, 'response');
  abandoned.close(http2.constants.NGHTTP2_CANCEL);
  seen.after = await http2Request(session, 'GET', '/hello');
  await new Promise((resolve) => session.close(resolve));
  return { ...seen, connections: 1 };
}

// --- node:https ---------------------------------------------------------------------------------

function httpsRequest(agent, method, path, { headers, body, delay } = {}) {
  return new Promise((resolve, reject) => {
    const request = https.request(origin + path, { agent, method, headers }, (response) => {
      answer(response.statusCode, response.headers, response, delay).then(resolve, reject);
    });
    request.on('error', reject);
    if (body instanceof Uint8Array) request.end(body);
    else if (body) write(request, body).then(() => request.end());
    else request.end();
  });
}

function httpsExpect(agent) {
  return new Promise((resolve, reject) => {
    let continued = false;
    const request = https.request(`${origin}/echo`, {
      agent, method: 'POST', headers: { expect: '100-continue', trailer: 'x-checksum' },
    }, (response) => {
      answer(response.statusCode, response.headers, response)
        .then((result) => resolve({ ...result, continued }), reject);
    });
    request.on('error', reject);
    request.on('continue', () => {
      continued = true;
      request.write(posted);
      request.addTrailers({ 'x-checksum': '0815' });
      request.end();
    });
    request.flushHeaders();
  });
}

function httpsConnect() {
  return new Promise((resolve, reject) => {
    const request = https.request(origin, { method: 'CONNECT', path: 'example.com:443' });
    request.on('connect', (response, socket) => {
      socket.destroy();
      resolve(response.statusCode);
    });
    request.on('error', reject);
    request.end();
  });
}

// What TLS agrees on when the client knows this version at most. Without the level OpenSSL 3.5 itself has none below 1.2.
function tls(maxVersion, ALPNProtocols) {
  return new Promise((resolve) => {
    const { hostname, port } = new URL(origin);
    const socket = connectTls({ host: hostname, port, servername: hostname, maxVersion, ALPNProtocols,
      minVersion: 'TLSv1', ciphers: 'DEFAULT:@SECLEVEL=0' }, () => {
      resolve({ version: socket.getProtocol(), cipher: socket.getCipher().name,
        alpn: socket.alpnProtocol });
      socket.destroy();
    });
    socket.on('error', (error) => resolve({ error: error.code }));
  });
}

async function nodeHttps() {
  const agent = new https.Agent({ keepAlive: true, maxSockets: 6 });
  let connections = 0;
  const open = agent.createConnection;
  agent.createConnection = (...rest) => {
    ++connections;
    return open.apply(agent, rest);
  };
  const seen = await everything((...request) => httpsRequest(agent, ...request));
  seen.expect = await httpsExpect(agent);
  seen.connect = await httpsConnect();
  agent.destroy();
  seen.tls = {
    '1.2': await tls('TLSv1.2', ['h2', 'http/1.1']),
    '1.1': await tls('TLSv1.1', ['http/1.1']),
    'no ALPN': await tls('TLSv1.3'),
    'strange ALPN': await tls('TLSv1.3', ['spdy/3.1']),
  };
  return { ...seen, connections };
}

const clients = {
  'undici-h2': () => undici(true), 'undici-h1': () => undici(false), http2: nodeHttp2,
  https: nodeHttps,
};
console.log(JSON.stringify(await clients[options.client]()));
