// The demo page's live panels. Everything shown is measured in the browser: the protocol of each
// request is what the browser reports as `nextHopProtocol`, never what the server claims.

const $ = (selector, root = document) => root.querySelector(selector);

const names = { h3: 'HTTP/3', h2: 'HTTP/2', 'http/1.1': 'HTTP/1.1', 'http/1.0': 'HTTP/1.0' };
const milliseconds = (value) => `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
const quantile = (sorted, q) => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))];

function size(bytes) {
  if (bytes < 1000) return `${bytes} B`;
  if (bytes < 1e6) return `${(bytes / 1e3).toFixed(1)} kB`;
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

// --- the protocol of every request --------------------------------------------------------------

const entries = new Map(); // absolute URL → its latest PerformanceResourceTiming
const waiting = new Map(); // absolute URL → the function that wants its protocol

function addRow(entry) {
  const url = new URL(entry.name);
  const row = $('#requests tbody').insertRow(0);
  const cell = (text) => { row.insertCell().textContent = text; };
  cell(url.pathname);
  const tag = document.createElement('span');
  tag.className = 'tag';
  tag.dataset.over = tag.textContent = entry.nextHopProtocol || '?';
  row.insertCell().append(tag);
  cell(size(entry.encodedBodySize));
  cell(milliseconds(entry.duration));
  while ($('#requests tbody').rows.length > 60) $('#requests tbody').deleteRow(-1);
}

new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) {
    entries.set(entry.name, entry);
    addRow(entry);
    waiting.get(entry.name)?.(entry.nextHopProtocol);
    waiting.delete(entry.name);
  }
  performance.clearResourceTimings(); // the browser's own buffer is small
}).observe({ type: 'resource', buffered: true });

// The browser adds the entry shortly after the body has ended.
function protocolOf(url) {
  const entry = entries.get(url);
  if (entry) return Promise.resolve(entry.nextHopProtocol);
  return new Promise((resolve) => {
    waiting.set(url, resolve);
    setTimeout(() => resolve(''), 2000);
  });
}

let serial = 0;
const fresh = (path) => new URL(`${path}?${++serial}`, location.origin).href;

async function expect(response) {
  if (!response.ok) throw new Error(`${response.status} from ${new URL(response.url).pathname}`);
  return response;
}

// --- this page ----------------------------------------------------------------------------------

function showPage() {
  const page = performance.getEntriesByType('navigation')[0];
  const protocol = page.nextHopProtocol;
  document.documentElement.dataset.protocol = protocol;
  addRow(page);
  $('#origin').textContent = location.host;
  // A development certificate, most likely.
  const trust = ['localhost', '127.0.0.1', '[::1]'].includes(location.hostname) ? '-k ' : '';
  $('#command').textContent = `tern get ${trust}${location.origin}/hello`;
  if (protocol) {
    $('#over').hidden = false;
    $('#protocol').textContent = protocol;
    if (protocol !== 'h3') {
      $('#protocol').dataset.fallback = '';
      $('#explain').textContent =
        `The browser fetched this page over ${names[protocol] ?? protocol}. The answer named the HTTP/3 ` +
        'endpoint on this port (Alt-Svc), so reload and the next visit goes over QUIC, if the browser ' +
        'trusts the certificate and the network lets UDP pass.';
    }
  }
  $('#fact-protocol').textContent = names[protocol] ?? (protocol || 'unknown');
  const connect = page.connectEnd - page.connectStart;
  $('#fact-connect').textContent = connect > 0 ? milliseconds(connect) : 'reused';
  $('#fact-ttfb').textContent = milliseconds(page.responseStart - page.requestStart);
  $('#fact-ready').textContent = milliseconds(page.domContentLoadedEventEnd || performance.now());
}

// --- panels -------------------------------------------------------------------------------------

// Runs `work`, keeps the panel's button, state and result line in step with it.
async function run(panel, work) {
  const button = $('button', panel);
  const result = $('.result', panel);
  button.disabled = true;
  panel.dataset.state = 'running';
  result.textContent = 'Running…';
  try {
    const { text, protocol } = await work();
    result.textContent = text;
    panel.dataset.protocol = protocol;
    panel.dataset.state = 'done';
  } catch (error) {
    result.textContent = `Failed: ${error.message}`;
    panel.dataset.state = 'failed';
  }
  button.disabled = false;
}

const parallel = $('#parallel');
const dots = Array.from({ length: 100 }, () => {
  const dot = document.createElement('span');
  dot.className = 'dot';
  return dot;
});
$('.dots', parallel).append(...dots);

$('button', parallel).addEventListener('click', () => run(parallel, async () => {
  for (const dot of dots) delete dot.dataset.over;
  const started = performance.now();
  const finished = await Promise.all(dots.map(async (dot) => {
    const url = fresh('/hello');
    try {
      await (await expect(await fetch(url, { cache: 'no-store' }))).text();
      const time = performance.now() - started;
      const protocol = await protocolOf(url);
      dot.dataset.over = protocol;
      return { time, protocol };
    } catch (error) {
      dot.dataset.over = 'failed';
      throw error;
    }
  }));
  const times = finished.map((request) => request.time).sort((a, b) => a - b);
  const protocols = [...new Set(finished.map((request) => request.protocol))].sort();
  return {
    protocol: protocols.join(' '),
    text: `${finished.length} over ${protocols.join(' and ')} in ${milliseconds(times.at(-1))} · ` +
      `median ${milliseconds(quantile(times, 0.5))} · p95 ${milliseconds(quantile(times, 0.95))}`,
  };
}));

// Draws bytes received against time, both scaled to what has arrived by the end.
function plot(samples, total) {
  const end = Math.max(samples.at(-1).time, 1);
  const points = samples.map(({ time, bytes }) =>
    `${(400 * time / end).toFixed(1)} ${(116 - 110 * bytes / total).toFixed(1)}`);
  $('.plot-line').setAttribute('d', `M${points.join('L')}`);
  $('.plot-area').setAttribute('d', `M0 120L${points.join('L')}L400 120z`);
}

const download = $('#download');
$('button', download).addEventListener('click', () => run(download, async () => {
  const total = 5_000_000;
  const url = fresh(`/bytes/${total}`);
  const started = performance.now();
  const reader = (await expect(await fetch(url, { cache: 'no-store' }))).body.getReader();
  const samples = [{ time: 0, bytes: 0 }];
  let received = 0;
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
    for (const byte of piece.value) {
      if (byte !== received++ % 251) throw new Error(`byte ${received - 1} is wrong`);
    }
    samples.push({ time: performance.now() - started, bytes: received });
    $('.result', download).textContent = `${size(received)} of ${size(total)}`;
  }
  if (received !== total) throw new Error(`${received} bytes instead of ${total}`);
  plot(samples, total);
  const { time } = samples.at(-1);
  const protocol = await protocolOf(url);
  return {
    protocol,
    text: `${size(total)} over ${protocol} in ${milliseconds(time)} · ` +
      `${(total * 8 / time / 1000).toFixed(0)} Mbit/s · every byte checked`,
  };
}));

const echo = $('#echo');
$('#echo-form').addEventListener('submit', (event) => {
  event.preventDefault();
  run(echo, async () => {
    const message = $('#message').value;
    const url = fresh('/echo');
    const started = performance.now();
    const response = await expect(await fetch(url, {
      method: 'POST', body: message, headers: { 'content-type': 'text/plain;charset=utf-8' },
    }));
    const answer = await response.text();
    const time = performance.now() - started;
    $('.reply', echo).value = answer;
    if (answer !== message) throw new Error('the answer is not what was sent');
    const protocol = await protocolOf(url);
    return {
      protocol,
      text: `${size(new TextEncoder().encode(message).length)} there and back over ${protocol} ` +
        `in ${milliseconds(time)}`,
    };
  });
});

// Scripts cannot see what a WebSocket runs over: it may be a connection of its own.
const websocket = $('#websocket');
$('#websocket-form').addEventListener('submit', (event) => {
  event.preventDefault();
  run(websocket, async () => {
    const message = $('#ws-message').value;
    const url = new URL('/ws/echo', location.origin);
    url.protocol = 'wss:';
    const started = performance.now();
    const socket = new WebSocket(url);
    const closed = new Promise((resolve) => socket.addEventListener('close', resolve));
    await new Promise((resolve, reject) => {
      socket.addEventListener('open', resolve);
      socket.addEventListener('error', () => reject(new Error('the WebSocket did not open')));
    });
    const opened = performance.now() - started;
    const times = [];
    for (let i = 0; i < 20; ++i) {
      const begun = performance.now();
      socket.send(message);
      const answer = await Promise.race([
        new Promise((resolve) => socket.addEventListener('message', resolve, { once: true })),
        closed.then((end) => { throw new Error(`closed with ${end.code}`); }),
      ]);
      if (answer.data !== message) throw new Error('the answer is not what was sent');
      times.push(performance.now() - begun);
    }
    $('.reply', websocket).value = message;
    socket.close(1000);
    const end = await closed;
    if (end.code !== 1000 || !end.wasClean) throw new Error(`closed with ${end.code}`);
    times.sort((a, b) => a - b);
    return {
      protocol: socket.extensions || 'no extension',
      text: `open in ${milliseconds(opened)} · 20 messages, median ${milliseconds(quantile(times, 0.5))} · ` +
        `closed with ${end.code}`,
    };
  });
});

const events = $('#events');
$('button', events).addEventListener('click', () => run(events, async () => {
  const url = fresh('/events');
  const source = new EventSource(url);
  const ids = [];
  try {
    await new Promise((resolve, reject) => {
      source.addEventListener('error', () => reject(new Error('the stream broke off')));
      source.addEventListener('time', (event) => {
        $('.reply', events).value = event.data;
        ids.push(Number(event.lastEventId));
        $('.result', events).textContent = `Event ${event.lastEventId}`;
        if (ids.length === 3) resolve();
      });
    });
  } finally {
    source.close();
  }
  if (ids.join() !== '1,2,3') throw new Error(`events ${ids.join(', ')}`);
  const protocol = await protocolOf(url);
  return { protocol, text: `3 events${protocol ? ` over ${protocol}` : ''}, the last at ${$('.reply', events).value}` };
}));

$('#room button').addEventListener('click', async ({ currentTarget: button }) => {
  button.disabled = true;
  try {
    const { mount } = await import('/chat/chat.js');
    const chat = $('#room .chat');
    chat.hidden = button.hidden = true;
    mount(chat);
    chat.hidden = false;
    $('#chat-text').focus();
  } catch (error) {
    button.disabled = false;
    button.textContent = 'Join again';
    console.error(error);
  }
});

showPage();
