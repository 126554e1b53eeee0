// What a browser runs inside the loaded demo page. Sent there as source text, so it may use nothing
// from outside itself.
export async function webSockets() {
  const url = (path, host = location.host) => `wss://${host}${path}`;

  // Sends each message, wants it back, closes; what came of it.
  const talk = async (address, messages, { protocols = [], code = 1000, reason = '' } = {}) => {
    const socket = new WebSocket(address, protocols);
    socket.binaryType = 'arraybuffer';
    const seen = { messages: 0, wrong: 0, opened: false };
    const closed = new Promise((resolve) => socket.addEventListener('close', resolve));
    const opened = new Promise((resolve) => {
      socket.addEventListener('open', () => resolve(true));
      socket.addEventListener('error', () => resolve(false));
      setTimeout(() => resolve(false), 15000);
    });
    seen.opened = await opened;
    if (seen.opened) {
      seen.protocol = socket.protocol;
      seen.extensions = socket.extensions;
      const same = (sent, got) => {
        if (typeof sent === 'string') return sent === got;
        const bytes = new Uint8Array(got);
        return bytes.length === sent.length && bytes.every((byte, i) => byte === sent[i]);
      };
      const all = new Promise((resolve) => {
        socket.addEventListener('message', (event) => {
          if (!same(messages[seen.messages], event.data)) ++seen.wrong;
          if (++seen.messages === messages.length) resolve();
        });
        closed.then(resolve);
        setTimeout(resolve, 20000);
      });
      for (const message of messages) socket.send(message);
      await all;
      socket.close(code, reason);
    }
    const end = await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, 10000, {}))]);
    seen.code = end.code;
    seen.clean = end.wasClean;
    return seen;
  };

  const text = Array.from({ length: 200 }, (_, i) => `message ${i} – ${'ä'.repeat(i)}`);
  const large = new Uint8Array(3_000_000).map((_, i) => (i * 31 + (i >> 7)) % 256);
  const many = Array.from({ length: 20 }, (_, i) => Array.from({ length: 10 }, (__, j) => `${i}/${j}`));

  // An EventSource: three events of the demo's clock, and what the browser says it came over.
  const listen = async () => {
    const source = new URL('/events?measured', location.origin).href;
    let protocol = '';
    const observer = new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) {
        if (entry.name === source) protocol = entry.nextHopProtocol;
      }
    });
    observer.observe({ type: 'resource' });
    const events = new EventSource(source);
    const ids = [];
    await new Promise((resolve) => {
      events.addEventListener('time', (event) => {
        ids.push(event.lastEventId);
        if (ids.length === 3) resolve();
      });
      setTimeout(resolve, 15000);
    });
    events.close();
    const deadline = performance.now() + 3000;
    while (!protocol && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return { ids, protocol };
  };

  const press = async (id) => {
    const panel = document.getElementById(id);
    panel.querySelector('button').click();
    const deadline = performance.now() + 20000;
    while (!['done', 'failed'].includes(panel.dataset.state) && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return { state: panel.dataset.state, text: panel.querySelector('.result').textContent };
  };

  // A WebSocket goes over a connection that is there, or over one of HTTP/1.1.
  const stranger = async () => {
    const host = `127.0.0.1:${location.port}`;
    await fetch(`https://${host}/hello`, { mode: 'no-cors', credentials: 'include' }).catch(() => {});
    return talk(url('/ws/echo', host), ['x']);
  };

  return {
    navigation: performance.getEntriesByType('navigation')[0].nextHopProtocol,
    text: await talk(url('/ws/echo'), text),
    binary: await talk(url('/ws/echo'), [large, new Uint8Array(0), large.slice(0, 126)]),
    own_code: await talk(url('/ws/echo'), ['x'], { code: 4321, reason: 'own' }),
    many: await Promise.all(many.map((messages) => talk(url('/ws/echo'), messages))),
    stranger: await stranger(),
    nowhere: await talk(url('/ws/nowhere'), ['x']),
    events: await listen(),
    panels: { websocket: await press('websocket'), events: await press('events') },
  };
}
