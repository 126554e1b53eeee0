// deno (quinn) as WebTransport client of tern's demo site:
//   DENO_CERT=ca.pem deno run --unstable-net --allow-net --allow-env deno_wt_client.js https://localhost:PORT
//
// No unidirectional streams: deno 2.9 takes the QPACK streams, which every HTTP/3 server opens, for the session's, and gives no more.
// Prints one JSON object with what it saw, and decides nothing.
const [origin] = Deno.args;
const pattern = (size, seed) => new Uint8Array(size).map((_, i) => (i * 31 + seed + (i >> 7)) % 256);
const same = (a, b) => a.byteLength === b.byteLength && a.every((byte, i) => byte === b[i]);

// Until so much has come: deno 2.9 does not tell of a stream's end, not even of its own server's.
async function read(readable, size) {
  const all = new Uint8Array(size);
  const reader = readable.getReader();
  for (let at = 0; at < size;) {
    const { value, done } = await reader.read();
    if (done) return all.subarray(0, at);
    all.set(value.subarray(0, size - at), at);
    at += value.byteLength;
  }
  return all;
}

async function send(writable, bytes) {
  const writer = writable.getWriter();
  for (let at = 0; at < bytes.length; at += 50_000) await writer.write(bytes.subarray(at, at + 50_000));
  await writer.close();
}

const result = { client: `deno ${Deno.version.deno}` };
{
  const session = new WebTransport(`${origin}/wt/echo`);
  await session.ready;
  result.bidirectional = await Promise.all([1, 1000, 70_000, 1_000_000].map(async (size) => {
    const sent = pattern(size, size);
    const stream = await session.createBidirectionalStream();
    const [got] = await Promise.all([read(stream.readable, size), send(stream.writable, sent)]);
    return same(sent, got);
  }));
  const writer = session.datagrams.writable.getWriter();
  const reader = session.datagrams.readable.getReader();
  let got = 0;
  for (let i = 0; got < 10 && i < 500; ++i) {
    await writer.write(pattern(100, i % 256));
    const next = await Promise.race([reader.read(), new Promise((resolve) => setTimeout(resolve, 200))]);
    if (next?.value?.byteLength === 100) ++got;
  }
  result.datagrams = got;
  session.close({ closeCode: 7, reason: 'seen' });
  // deno closes the connection, and keeps its code to itself.
  result.closed = await session.closed.then(() => 'closed', (error) => String(error));
}
{
  const session = new WebTransport(`${origin}/wt/nowhere`);
  result.nowhere = await session.ready.then(() => 'opened', () => 'refused');
  session.closed.catch(() => {});
}
console.log(JSON.stringify(result));
Deno.exit(0);
