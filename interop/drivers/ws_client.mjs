// npm's ws, or undici, as a WebSocket client of tern's demo site:
//
//   node ws_client.mjs '{"client": "ws", "module", "url", "ca", "h2"}'
//
// Prints one JSON object with what came of each conversation; it decides nothing, interop/run does.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const options = JSON.parse(process.argv[2]);
const library = createRequire(import.meta.url)(options.module);
const ca = readFileSync(options.ca);
const { url } = options;

const text = Array.from({ length: 200 }, (_, i) => `message ${i} – ${'ä'.repeat(i)}`);
const mebibyte = Buffer.from(Uint8Array.from({ length: 1 << 20 }, (_, i) => (i * 31 + (i >> 7)) % 256));
const binary = [mebibyte, Buffer.alloc(0), mebibyte.subarray(1, 70000), mebibyte];

const within = (promise, milliseconds) =>
  Promise.race([promise, new Promise((resolve) => setTimeout(resolve, milliseconds, undefined))]);

// What `work` makes of an open WebSocket, and how that ended.
const conversation = async (socket, work) => {
  const seen = { opened: false };
  socket.binaryType = options.client === 'ws' ? 'nodebuffer' : 'arraybuffer';
  socket.addEventListener('error', (event) => {
    seen.error = String(event.message ?? event.error);
    seen.status = Number(/server response: (\d+)/.exec(seen.error)?.[1]);
  });
  const closed = new Promise((resolve) => socket.addEventListener('close', resolve));
  seen.opened = await within(Promise.race([
    new Promise((resolve) => socket.addEventListener('open', () => resolve(true))),
    closed.then(() => false)]), 10000) ?? false;
  if (seen.opened) {
    seen.protocol = socket.protocol;
    seen.extensions = socket.extensions;
    await within(work(socket, seen, closed), 20000);
  }
  const end = await within(closed, 10000);
  seen.code = end?.code;
  seen.reason = end?.reason;
  seen.clean = end?.wasClean;
  return seen;
};

// Sends all of them, wants them back in order, closes.
const echo = (messages, code = 1000, reason = '') => async (socket, seen, closed) => {
  seen.messages = 0;
  seen.wrong = 0;
  const all = new Promise((resolve) => {
    socket.addEventListener('message', ({ data }) => {
      const sent = messages[seen.messages];
      const same = typeof sent === 'string' ? sent === data : sent.equals(Buffer.from(data));
      if (!same) ++seen.wrong;
      if (++seen.messages === messages.length) resolve();
    });
  });
  for (const message of messages) socket.send(message);
  await Promise.race([all, closed]);
  socket.close(code, reason);
};

const result = {};
if (options.client === 'undici') {
  const { Agent, WebSocket } = library;
  const dispatcher = new Agent({ allowH2: options.h2, connect: { ca } });
  const open = (path = '') => new WebSocket(url + path, { dispatcher });
  result.text = await conversation(open(), echo(text));
  result.binary = await conversation(open(), echo(binary));
  result.own_code = await conversation(open(), echo(['x'], 4321, 'own'));
  result.many = await Promise.all(
    Array.from({ length: 20 }, (_, i) => conversation(open(), echo(text.slice(i, i + 10)))));
  await dispatcher.destroy();
} else {
  const { WebSocket } = library;
  const open = (extra = {}, protocols = []) => new WebSocket(url, protocols, { ca, ...extra });
  const deflate = (settings) => ({ perMessageDeflate: { threshold: 0, ...settings } });

  result.text = await conversation(open(), echo(text));
  result.plain = await conversation(open({ perMessageDeflate: false }), echo(text));
  // Windows of 512 bytes in both directions, and contexts that are given up after each message.
  result.small_windows = await conversation(open(deflate({
    serverMaxWindowBits: 9, clientMaxWindowBits: 9,
    serverNoContextTakeover: true, clientNoContextTakeover: true,
  })), echo(text));
  result.binary = await conversation(open(deflate({})), echo(binary));
  result.own_code = await conversation(open(), echo(['x'], 4321, 'own'));
  result.no_code = await conversation(open(), async (socket) => socket.close());
  result.many = await Promise.all(
    Array.from({ length: 20 }, (_, i) => conversation(open(), echo(text.slice(i, i + 10)))));
  // A message in three fragments, with a ping in between.
  for (const [name, extra] of [['fragments', { perMessageDeflate: false }], ['fragments_deflated', deflate({})]]) {
    result[name] = await conversation(open(extra), async (socket, seen, closed) => {
      const got = new Promise((resolve) => socket.addEventListener('message', ({ data }) => resolve(data)));
      const pong = new Promise((resolve) => socket.on('pong', (data) => resolve(data.toString())));
      socket.send('one ä', { fin: false });
      socket.ping('are you there');
      socket.send(' two', { fin: false });
      socket.send(' three', { fin: true });
      seen.message = await Promise.race([got, closed.then(() => null)]);
      seen.pong = await Promise.race([pong, closed.then(() => null)]);
      socket.close();
    });
  }
  // What breaks the rules, or a limit, is told with its code.
  result.not_utf8 = await conversation(open({ perMessageDeflate: false }), async (socket) => {
    socket.send(Buffer.from([0x61, 0xff]), { binary: false });
  });
  result.not_masked = await conversation(open(), async (socket) => {
    socket.send('x', { mask: false });
  });
  result.too_big = await conversation(open({ perMessageDeflate: false }), async (socket) => {
    socket.send(Buffer.alloc(17 << 20));
  });
  result.stranger = await conversation(open({ origin: 'https://evil.example' }), async () => {});
  result.own_origin = await conversation(
    open({ origin: url.replace(/^ws(s?):\/\/([^/]*).*/, 'http$1://$2') }), echo(['x']));
}
console.log(JSON.stringify({ client: options.client, ...result }));
process.exit(0); // there are timers left
