// What README.md's table of options says, with a WebTransport and a WebSocket that the test holds in its hand.
//   node --test test/        after `npm run build`
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import { connect } from '../dist/index.js';

let natives;
let sockets;
let origin = 0;

class NativeStub {
  constructor(url, options) {
    Object.assign(this, { url, options, at: performance.now(), isClosed: false });
    this.ready = new Promise((resolve, reject) => Object.assign(this, { succeed: resolve, fail: reject }));
    this.closed = new Promise(() => {});
    this.ready.catch(() => {});
    natives.push(this);
  }
  close() { this.isClosed = true; }
}

class SocketStub {
  bufferedAmount = 0;
  constructor(url, protocols) {
    Object.assign(this, { url: String(url), protocols, at: performance.now(), sent: [] });
    sockets.push(this);
  }
  send(bytes) { this.sent.push(bytes); }
  close() { this.isClosed = true; }
  open(protocol = 'webtransport') {
    this.protocol = protocol;
    this.onopen();
  }
  refuse() { this.onclose({ code: 1006, reason: '' }); }
}

const soon = (milliseconds = 0) => new Promise((resolve) => setTimeout(resolve, milliseconds));
async function until(condition) {
  for (let i = 0; !condition(); ++i) {
    assert.ok(i < 5000, 'in time');
    await soon(1);
  }
}
/** Another origin for each test: what is remembered of one is nothing to the next. */
const place = () => `https://host${++origin}.example/room`;

beforeEach(() => {
  natives = [];
  sockets = [];
  globalThis.WebTransport = NativeStub;
  globalThis.WebSocket = SocketStub;
});

test('protocols: to both, as they are and as subprotocols', async () => {
  const connecting = connect(place(), { protocols: ['chat.v1', 'a b'], headStart: 0 });
  await until(() => sockets.length === 1);
  assert.deepEqual(natives[0].options, { protocols: ['chat.v1', 'a b'] });
  assert.deepEqual(sockets[0].protocols, ['webtransport.chat.v1', 'webtransport.a%20b', 'webtransport']);
  sockets[0].open('webtransport.a%20b');
  const session = await connecting;
  assert.equal(session.protocol, 'a b');
  assert.equal(session.carrier, 'websocket');
  assert.equal(session.reliability, 'reliable-only');
});

test('carriers: native alone never makes a WebSocket', async () => {
  const connecting = connect(place(), { carriers: ['native'], headStart: 0 });
  await soon(20);
  assert.equal(sockets.length, 0);
  natives[0].succeed();
  assert.equal((await connecting).carrier, 'native');
});

test('carriers: websocket alone never makes a WebTransport', async () => {
  const connecting = connect(place(), { carriers: ['websocket'] });
  await until(() => sockets.length === 1);
  assert.equal(natives.length, 0);
  sockets[0].open();
  assert.equal((await connecting).carrier, 'websocket');
});

test('carriers: native alone, where the browser has none, is an error at once', async () => {
  delete globalThis.WebTransport;
  await assert.rejects(connect(place(), { carriers: ['native'] }), /no WebTransport/);
});

test('headStart: 500 ms, if nothing is said', async () => {
  const begun = performance.now();
  const connecting = connect(place());
  await until(() => sockets.length === 1);
  assert.ok(sockets[0].at - begun >= 495, `${sockets[0].at - begun}`);
  sockets[0].open();
  await connecting;
});

test('headStart: as said; and none is given to one that has failed', async () => {
  const begun = performance.now();
  const connecting = connect(place(), { headStart: 60_000 });
  await soon(20);
  assert.equal(sockets.length, 0);
  natives[0].fail(new Error('refused'));
  await until(() => sockets.length === 1);
  assert.ok(performance.now() - begun < 10_000);
  sockets[0].open();
  await connecting;
});

test('whichever is ready first is taken, and the other one let go', async () => {
  const connecting = connect(place(), { headStart: 0 });
  await until(() => sockets.length === 1);
  natives[0].succeed();
  assert.equal((await connecting).carrier, 'native');
  assert.ok(sockets[0].isClosed);
});

test('where the own one has failed and the WebSocket has not, the next begins with the WebSocket', async () => {
  const url = place();
  const connecting = connect(url, { headStart: 0 });
  natives[0].fail(new Error('blocked'));
  await until(() => sockets.length === 1);
  sockets[0].open();
  await connecting;
  await soon();
  const again = connect(url, { headStart: 60_000 });
  await until(() => sockets.length === 2);
  assert.equal(natives.length, 1);
  sockets[1].open();
  await again;
});

test('timeout: everything is given up, and let go', async () => {
  const begun = performance.now();
  await assert.rejects(connect(place(), { headStart: 0, timeout: 100 }), /in time/);
  const took = performance.now() - begun;
  assert.ok(took >= 95 && took < 5000, `${took}`);
  assert.ok(natives[0].isClosed && sockets[0].isClosed);
});

test('when all have failed, so has the connection, long before the timeout', async () => {
  const connecting = connect(place(), { headStart: 0 });
  await until(() => sockets.length === 1);
  natives[0].fail(new Error('no QUIC'));
  sockets[0].refuse();
  await assert.rejects(connecting, /WebSocket was refused/);
});

test('websocketUrl: elsewhere; otherwise the URL, with wss', async () => {
  const elsewhere = connect(place(), { headStart: 0, websocketUrl: 'https://other.example/ws' });
  await until(() => sockets.length === 1);
  assert.equal(sockets[0].url, 'wss://other.example/ws');
  sockets[0].open();
  await elsewhere;
  const url = place();
  const here = connect(url, { carriers: ['websocket'] });
  await until(() => sockets.length === 2);
  assert.equal(sockets[1].url, url.replace('https', 'wss'));
  sockets[1].open();
  await here;
});

test('serverCertificateHashes: the own one gets them', async () => {
  const serverCertificateHashes = [{ algorithm: 'sha-256', value: new Uint8Array(32) }];
  const connecting = connect(place(), { carriers: ['native'], serverCertificateHashes });
  natives[0].succeed();
  await connecting;
  assert.deepEqual(natives[0].options, { serverCertificateHashes });
});
