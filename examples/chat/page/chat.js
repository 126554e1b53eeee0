// The chat's user interface: mount(element) puts a room into the element and connects. What others
// write is inserted as text, never as markup.
import { connect } from './tern-webtransport.js';

const carriers = {
  h3: { name: 'HTTP/3', title: 'WebTransport over HTTP/3: streams and datagrams of QUIC' },
  h2: { name: 'HTTP/2', title: 'WebTransport over HTTP/2, on TCP' },
  websocket: { name: 'WebSocket', title: 'WebTransport over WebSocket, on TCP' },
};
// How the room ends a session (examples/chat/visit.h).
const farewells = {
  1: 'Your connection could not keep up, so the room let go of it.',
  2: 'That was too much, too fast.',
  3: 'The room is full.',
};
const typingEvery = 2000;
const typingFades = 4000;
const shownMessages = 500;
const maxLine = 1_000_000;

const base = new URL('.', import.meta.url);
const encoder = new TextEncoder();

function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** A colour of one's own: hues a golden angle apart. */
const hue = (id) => Math.round((id * 137.508) % 360);

function initials(name) {
  const [first = '?'] = new Intl.Segmenter().segment(name.trim());
  return (first.segment ?? '?').toLocaleUpperCase();
}

function badge(carrier) {
  const known = carriers[carrier];
  const element = make('span', { className: 'chat-badge', title: known?.title ?? '' }, known?.name ?? carrier);
  element.dataset.carrier = carrier;
  return element;
}

function build(root) {
  const parts = {};
  parts.status = make('p', { className: 'chat-status', role: 'status' }, 'Connecting…');
  parts.carrier = make('select', { id: 'chat-carrier', name: 'carrier' },
    make('option', { value: '' }, 'automatic'),
    make('option', { value: 'native' }, 'HTTP/3 only'),
    make('option', { value: 'websocket' }, 'WebSocket only'));
  parts.members = make('ul', { className: 'chat-members', 'aria-label': 'Who is here' });
  parts.count = make('span', { className: 'chat-count' });
  parts.log = make('ol', { className: 'chat-log', role: 'log', 'aria-label': 'Messages', tabIndex: 0 });
  parts.typing = make('p', { className: 'chat-typing', 'aria-live': 'off' });
  parts.name = make('input', {
    id: 'chat-name', name: 'name', autocomplete: 'nickname', maxLength: 32, spellcheck: false, placeholder: 'guest',
  });
  parts.nameForm = make('form', { className: 'chat-you' },
    make('label', { htmlFor: 'chat-name' }, 'Your name'), parts.name,
    make('button', { type: 'submit', className: 'chat-quiet' }, 'Rename'));
  parts.text = make('textarea', {
    id: 'chat-text', name: 'text', rows: 1, maxLength: 2000, placeholder: 'Say something', disabled: true,
    enterKeyHint: 'send',
  });
  parts.send = make('button', { type: 'submit', disabled: true }, 'Send');
  parts.form = make('form', { className: 'chat-composer' },
    make('label', { htmlFor: 'chat-text', className: 'chat-hidden' }, 'Message'), parts.text, parts.send);
  root.replaceChildren(
    make('div', { className: 'chat-bar' }, parts.status,
      make('div', { className: 'chat-way' }, make('label', { htmlFor: 'chat-carrier' }, 'Connect by'), parts.carrier)),
    make('div', { className: 'chat-body' },
      make('aside', { className: 'chat-side' },
        make('h2', {}, 'Here now ', parts.count), parts.members, parts.nameForm),
      make('div', { className: 'chat-talk' }, parts.log, parts.typing, parts.form)));
  return parts;
}

/** The lines of a stream; one that is longer than any the room sends ends it. */
async function* lines(readable) {
  const reader = readable.getReader();
  const decoder = new TextDecoder();
  let rest = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    rest += decoder.decode(value, { stream: true });
    const whole = rest.split('\n');
    rest = whole.pop();
    if (rest.length > maxLine) throw new Error('a line without an end');
    yield* whole;
  }
}

async function settings() {
  try {
    const answer = await fetch(new URL('settings', base), { cache: 'no-store' });
    const { certificates } = await answer.json();
    return certificates.map((text) => ({
      algorithm: 'sha-256',
      value: Uint8Array.from(atob(text), (c) => c.charCodeAt(0)),
    }));
  } catch {
    return [];
  }
}

/** Where a name is kept from visit to visit; some browsers have no place for it. */
const memory = {
  get name() {
    try { return localStorage.getItem('tern-chat-name') ?? ''; } catch { return ''; }
  },
  set name(value) {
    try { localStorage.setItem('tern-chat-name', value); } catch { /* forgotten, then */ }
  },
};

/**
 * Puts the room into `root`, which has the class "chat". `carrier`: 'native' or 'websocket' alone.
 * Returns { close }.
 */
export function mount(root, { carrier = new URLSearchParams(location.search).get('carrier') ?? '' } = {}) {
  const parts = build(root);
  parts.carrier.value = carrier;
  parts.name.value = memory.name;
  const members = new Map();
  const typing = new Map(); // id → when it fades
  let you = 0;
  let session;
  let typed = 0;
  let over = false;
  let attempt = 0; // the visit that counts: older ones say nothing any more

  function status(text, state) {
    parts.status.textContent = text;
    root.dataset.state = state;
    const open = state === 'open';
    parts.text.disabled = parts.send.disabled = !open;
  }

  // ---- who is there

  function showMembers() {
    parts.count.textContent = members.size || '';
    parts.members.replaceChildren(...[...members.values()].map((member) => {
      const face = make('span', { className: 'chat-face', 'aria-hidden': 'true' }, initials(member.name));
      face.style.setProperty('--hue', hue(member.id));
      const name = make('span', { className: 'chat-name', title: member.name }, member.name);
      if (member.id === you) name.append(make('span', { className: 'chat-self' }, ' (you)'));
      return make('li', {}, face, name, badge(member.carrier));
    }));
    const mine = members.get(you);
    if (mine) {
      status('Connected over ', 'open');
      parts.status.append(badge(mine.carrier));
    }
  }

  function showTyping() {
    const now = Date.now();
    for (const [id, fades] of typing) if (fades <= now || !members.has(id)) typing.delete(id);
    const names = [...typing.keys()].map((id) => members.get(id).name);
    parts.typing.textContent = names.length === 0 ? ''
      : names.length === 1 ? `${names[0]} is typing…`
      : names.length === 2 ? `${names[0]} and ${names[1]} are typing…`
      : `${names.length} people are typing…`;
  }

  // ---- what is said

  // Whoever reads the end goes on to read it, whatever takes room from the log: names above, on a phone
  // the keyboard below.
  let atEnd = true;
  const showEnd = () => { parts.log.scrollTop = parts.log.scrollHeight; };
  parts.log.addEventListener('scroll', () => {
    const { log } = parts;
    atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  });
  new ResizeObserver(() => { if (atEnd) showEnd(); }).observe(parts.log);

  function append(item, mine = false) {
    parts.log.append(item);
    while (parts.log.childElementCount > shownMessages) parts.log.firstElementChild.remove();
    if (atEnd || mine) showEnd();
  }

  function showNote(text, kind = '') {
    append(make('li', { className: `chat-note ${kind}` }, text));
  }

  function showMessage({ id, name, text, time }) {
    const when = new Date(time * 1000);
    const face = make('span', { className: 'chat-face', 'aria-hidden': 'true' }, initials(name));
    face.style.setProperty('--hue', hue(id));
    const item = make('li', { className: 'chat-message' }, face,
      make('div', { className: 'chat-said' },
        make('p', { className: 'chat-who' },
          make('strong', {}, name), ' ',
          make('time', { dateTime: when.toISOString() },
            when.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' }))),
        make('p', { className: 'chat-text' }, text)));
    if (id === you) item.classList.add('mine');
    typing.delete(id);
    showTyping();
    append(item, id === you);
  }

  const onEvent = {
    welcome(event) {
      you = event.you;
      members.clear();
      for (const member of event.members) members.set(member.id, member);
      parts.log.replaceChildren();
      atEnd = true;
      // The history is not news: it is not read out.
      parts.log.setAttribute('aria-live', 'off');
      for (const message of event.messages) showMessage(message);
      if (event.messages.length === 0) showNote('Nobody has said anything yet.');
      requestAnimationFrame(() => parts.log.setAttribute('aria-live', 'polite'));
      showMembers();
      if (memory.name) say(`/name ${memory.name}`);
    },
    joined(event) {
      members.set(event.id, event);
      showMembers();
      showNote(`${event.name} came in over ${carriers[event.carrier]?.name ?? event.carrier}.`);
    },
    left(event) {
      const name = members.get(event.id)?.name;
      members.delete(event.id);
      showMembers();
      showTyping();
      if (name) showNote(`${name} has left.`);
    },
    renamed(event) {
      const member = members.get(event.id);
      if (!member) return;
      showNote(event.id === you ? `You are ${event.name} now.` : `${member.name} is ${event.name} now.`);
      member.name = event.name;
      if (event.id === you) parts.name.value = memory.name = event.name;
      showMembers();
    },
    message: showMessage,
    notice(event) { showNote(event.text, 'warning'); },
    typing(event) {
      if (event.id === you) return;
      typing.set(event.id, Date.now() + typingFades);
      showTyping();
      setTimeout(showTyping, typingFades + 50);
    },
  };

  function handle(line) {
    const event = JSON.parse(line);
    if (Object.hasOwn(onEvent, event.type)) onEvent[event.type](event);
  }

  // ---- the session

  async function say(text) {
    try {
      const writer = (await session.createUnidirectionalStream()).getWriter();
      await writer.write(encoder.encode(text));
      await writer.close();
    } catch {
      if (!over) showNote('That was not sent.', 'warning');
    }
  }

  async function readEvents(own, current) {
    const streams = own.incomingUnidirectionalStreams.getReader();
    const { value } = await streams.read();
    if (!value) return;
    for await (const line of lines(value)) if (current()) handle(line);
  }

  async function readDatagrams(own, current) {
    const reader = own.datagrams.readable.getReader();
    const decoder = new TextDecoder();
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      if (current()) handle(decoder.decode(value));
    }
  }

  /** One visit, to its end. */
  async function visit(current) {
    status('Connecting…', 'connecting');
    const hashes = await settings();
    const chosen = parts.carrier.value;
    const own = await connect(new URL('room', base), {
      ...(chosen ? { carriers: [chosen] } : {}),
      ...(hashes.length ? { serverCertificateHashes: hashes } : {}),
    });
    if (!current()) {
      own.close();
      return undefined;
    }
    session = own;
    readDatagrams(own, current).catch(() => {});
    readEvents(own, current).catch(() => {});
    const { closeCode } = await own.closed;
    return farewells[closeCode];
  }

  async function stay() {
    const mine = ++attempt;
    const current = () => mine === attempt && !over;
    for (let wait = 500; current(); wait = Math.min(wait * 2, 10_000)) {
      const begun = Date.now();
      let farewell;
      try {
        farewell = await visit(current);
      } catch {
        // As if it had never been there: again, later.
      }
      if (!current()) return;
      session = undefined;
      members.clear();
      showMembers();
      if (farewell) {
        status(`${farewell} `, 'ended');
        parts.status.append(make('button', { type: 'button', className: 'chat-quiet', onclick: stay }, 'Come back'));
        return;
      }
      if (Date.now() - begun > 20_000) wait = 500;
      status('Not connected. Trying again…', 'waiting');
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }

  // ---- what the user does

  function grow() {
    parts.text.style.height = 'auto';
    parts.text.style.height = `${Math.min(parts.text.scrollHeight + 2, 160)}px`;
  }

  parts.form.addEventListener('submit', (event) => {
    event.preventDefault();
    const text = parts.text.value.trim();
    if (!text || !session) return;
    parts.text.value = '';
    typed = 0;
    grow();
    say(text);
  });
  parts.text.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    parts.form.requestSubmit();
  });
  parts.text.addEventListener('input', () => {
    grow();
    if (!session || Date.now() - typed < typingEvery) return;
    typed = Date.now();
    const writer = session.datagrams.writable.getWriter();
    writer.write(encoder.encode('typing')).catch(() => {});
    writer.releaseLock();
  });
  parts.nameForm.addEventListener('submit', (event) => {
    event.preventDefault();
    const name = parts.name.value.trim();
    if (!name || !session) return;
    memory.name = name;
    say(`/name ${name}`);
    parts.text.focus();
  });
  parts.carrier.addEventListener('change', () => {
    const old = session;
    session = undefined;
    stay();
    old?.close();
  });

  stay();
  return {
    close() {
      over = true;
      session?.close();
    },
  };
}
