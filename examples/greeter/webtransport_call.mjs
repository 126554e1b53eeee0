// A call on a stream of a WebTransport session, with messages in JSON: docs/rpc.md has it byte by byte.
//
//   const session = await connect('https://localhost:4433/rpc');      // tern-webtransport; or new WebTransport(…) and .ready
//   const call = await open(session, '/greeter.v1.Greeter/Chat');
//   await call.send({ name: 'you' });
//   await call.end();                                                  // no more requests
//   for await (const reply of call.replies()) console.log(reply.text); // throws { code, message } unless the status is OK
const HEAD = 0x80;

function envelope(flags, text) {
  const payload = new TextEncoder().encode(text);
  const bytes = new Uint8Array(5 + payload.length);
  new DataView(bytes.buffer).setUint8(0, flags);
  new DataView(bytes.buffer).setUint32(1, payload.length);
  bytes.set(payload, 5);
  return bytes;
}

/** The envelopes of a stream: [flags, text]. */
async function* envelopes(readable) {
  const reader = readable.getReader();
  let bytes = new Uint8Array(0);
  for (;;) {
    while (bytes.length >= 5) {
      const end = 5 + new DataView(bytes.buffer, bytes.byteOffset).getUint32(1);
      if (bytes.length < end) break;
      yield [bytes[0], new TextDecoder().decode(bytes.subarray(5, end))];
      bytes = bytes.subarray(end);
    }
    const { value, done } = await reader.read();
    if (done) return;
    const more = new Uint8Array(bytes.length + value.length);
    more.set(bytes);
    more.set(value, bytes.length);
    bytes = more;
  }
}

const fields = (text) => new Map(text.split('\r\n').filter(Boolean).map((line) => {
  const colon = line.indexOf(':');
  return [line.slice(0, colon), line.slice(colon + 1).trim()];
}));

export async function open(session, method, metadata = {}) {
  const { readable, writable } = await session.createBidirectionalStream();
  const writer = writable.getWriter();
  const lines = [method, 'content-type: application/grpc-web+json',
    ...Object.entries(metadata).map(([name, value]) => `${name}: ${value}`)];
  // False: the call is over, and wants no more. `replies` says why.
  const went = (promise) => promise.then(() => true, () => false);
  await went(writer.write(envelope(HEAD, lines.map((line) => `${line}\r\n`).join(''))));
  return {
    send: (message) => went(writer.write(envelope(0, JSON.stringify(message)))),
    end: () => went(writer.close()),
    async* replies() {
      for await (const [flags, text] of envelopes(readable)) {
        if ((flags & HEAD) === 0) {
          yield JSON.parse(text);
          continue;
        }
        const code = fields(text).get('grpc-status');
        if (code === undefined) continue; // the head
        if (code === '0') return;
        throw Object.assign(new Error(decodeURIComponent(fields(text).get('grpc-message') ?? '')), { code: Number(code) });
      }
      throw Object.assign(new Error('the stream ends without a status'), { code: 13 });
    },
  };
}
