// What a browser runs inside a page of tern's demo site, with tern-webtransport: the same on every
// carrier. Sent there as source text, so it may use nothing from outside itself.
export async function webTransport({ module, carriers, path, options, hashes }) {
  const { connect } = await import(module);
  const bytes = (base64) => Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  if (hashes) {
    options = { ...options, serverCertificateHashes: hashes.map((hash) => ({ algorithm: 'sha-256', value: bytes(hash) })) };
  }
  const url = new URL(path ?? '/wt/echo', location.href);
  const open = (more = {}) => connect(url, { carriers, ...options, ...more });

  const readAll = async (readable) => {
    const chunks = [];
    const reader = readable.getReader();
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      chunks.push(value);
    }
    const all = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0));
    let at = 0;
    for (const chunk of chunks) {
      all.set(chunk, at);
      at += chunk.byteLength;
    }
    return all;
  };
  const send = async (writable, bytes) => {
    const writer = writable.getWriter();
    // In pieces, so that more than one capsule or frame goes.
    for (let at = 0; at < bytes.length; at += 50_000) {
      await writer.ready;
      writer.write(bytes.subarray(at, at + 50_000)).catch(() => {});
    }
    await writer.close();
  };
  const same = (a, b) => a.byteLength === b.byteLength && a.every((byte, i) => byte === b[i]);
  const pattern = (size, seed) => new Uint8Array(size).map((_, i) => (i * 31 + seed + (i >> 7)) % 256);
  const within = (promise, what, time = 15_000) =>
    Promise.race([promise, new Promise((_, reject) => setTimeout(() => reject(new Error(`${what}: no end`)), time))]);
  const attempt = async (what, action) => {
    try {
      return await within(action(), what);
    } catch (error) {
      return { failed: `${what}: ${error?.name}: ${error?.message}` };
    }
  };

  const result = {};
  result.facts = await attempt('facts', async () => {
    const session = await open({ protocols: ['nothing', 'echo v1'] });
    const facts = {
      carrier: session.carrier,
      reliability: session.reliability,
      protocol: session.protocol,
      maxDatagramSize: session.datagrams.maxDatagramSize,
    };
    session.close({ closeCode: 7, reason: 'seen' });
    facts.closed = await session.closed;
    return facts;
  });

  result.bidirectional = await attempt('bidirectional', async () => {
    const session = await open();
    const sizes = [0, 1, 1000, 70_000, 1_000_000];
    const echoes = await Promise.all(sizes.map(async (size) => {
      const sent = pattern(size, size);
      const stream = await session.createBidirectionalStream();
      const [got] = await Promise.all([readAll(stream.readable), send(stream.writable, sent)]);
      return same(sent, got);
    }));
    session.close();
    return { echoes };
  });

  result.many = await attempt('many', async () => {
    const session = await open();
    let right = 0;
    let next = 0;
    // Fifty at a time: Chromium does not wait for leave to open one more.
    await Promise.all(Array.from({ length: 50 }, async () => {
      while (next < 250) {
        const sent = pattern(200, next++);
        const stream = await session.createBidirectionalStream();
        const [got] = await Promise.all([readAll(stream.readable), send(stream.writable, sent)]);
        if (same(sent, got)) ++right;
      }
    }));
    session.close();
    return { right };
  });

  result.unidirectional = await attempt('unidirectional', async () => {
    const session = await open();
    const incoming = session.incomingUnidirectionalStreams.getReader();
    const sizes = [1, 1000, 200_000];
    let right = 0;
    for (const size of sizes) {
      const sent = pattern(size, size);
      const sending = session.createUnidirectionalStream().then((stream) => send(stream, sent));
      const { value } = await incoming.read();
      const got = await readAll(value);
      await sending;
      if (same(sent, got)) ++right;
    }
    session.close();
    return { right };
  });

  result.datagrams = await attempt('datagrams', async () => {
    const session = await open();
    const writer = session.datagrams.writable.getWriter();
    const reader = session.datagrams.readable.getReader();
    const got = new Set();
    // Some may be lost: until ten are back.
    for (let i = 0; got.size < 10 && i < 500; ++i) {
      await writer.write(pattern(100, i % 256));
      const next = await Promise.race([reader.read(), new Promise((resolve) => setTimeout(resolve, 200))]);
      if (next?.value?.byteLength === 100) got.add(next.value[0]);
    }
    session.close();
    return { got: got.size };
  });

  result.reset = await attempt('reset', async () => {
    const session = await open();
    const stream = await session.createBidirectionalStream();
    const writer = stream.writable.getWriter();
    await writer.write(pattern(10, 1));
    const reader = stream.readable.getReader();
    await reader.read();
    const coded = (() => {
      try { // The specification's constructor, then Chromium's.
        return new WebTransportError('given up', { streamErrorCode: 77, source: 'stream' });
      } catch {
        return new WebTransportError({ message: 'given up', streamErrorCode: 77 });
      }
    })();
    await writer.abort(coded).catch(() => {});
    let code;
    try {
      while (!(await reader.read()).done);
      code = 'no error';
    } catch (error) {
      code = error.streamErrorCode ?? String(error);
    }
    session.close();
    return { code };
  });

  result.after = await attempt('after', async () => {
    const session = await open();
    const stream = await session.createBidirectionalStream();
    const reading = stream.readable.getReader().read();
    session.close({ closeCode: 1, reason: 'gone' });
    const outcome = await reading.then(({ done }) => (done ? 'done' : 'data'), () => 'error');
    const opened = await session.createBidirectionalStream().then(() => 'opened', () => 'refused');
    return { outcome, opened };
  });

  if (hashes) {
    result.strangers = await attempt('strangers', async () => {
      const serverCertificateHashes = [{ algorithm: 'sha-256', value: new Uint8Array(32) }];
      return open({ serverCertificateHashes }).then(() => ({ opened: true }), () => ({ opened: false }));
    });
  }

  result.nowhere = await attempt('nowhere', async () => {
    const lost = new URL('/wt/nowhere', location.href);
    return connect(lost, { carriers, ...options }).then(() => ({ opened: true }), () => ({ opened: false }));
  });
  return result;
}
