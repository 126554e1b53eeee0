// Chromium and Firefox in the chat of tern's demo site, each over HTTP/3 and over WebSocket, four people in one room: {"url"}
//
// Says what each page shows at the end, and decides nothing.
import { newContext } from './in_page.mjs';

// Each is sent to the page as source text.
const said = () => [...document.querySelectorAll('.chat-message')].map((message) => ({
  by: message.querySelector('strong').textContent,
  text: message.querySelector('.chat-text').textContent,
  elements: message.querySelector('.chat-text').childElementCount + message.querySelector('strong').childElementCount,
}));
const notes = () => [...document.querySelectorAll('.chat-note.warning')].map((note) => note.textContent);
const present = () => Object.fromEntries([...document.querySelectorAll('.chat-members li')].map((member) => [
  member.querySelector('.chat-name').firstChild.textContent, member.querySelector('.chat-badge').dataset.carrier]));
const typing = () => document.querySelector('.chat-typing').textContent;
const fromEnd = () => {
  const log = document.querySelector('.chat-log');
  return log.scrollHeight - log.scrollTop - log.clientHeight;
};
const state = () => document.querySelector('.chat').dataset.state ?? '';
const say = (text) => {
  document.querySelector('#chat-text').value = text;
  document.querySelector('.chat-composer').requestSubmit();
};
const rename = (name) => {
  document.querySelector('#chat-name').value = name;
  document.querySelector('.chat-you').requestSubmit();
};
const type = () => {
  const field = document.querySelector('#chat-text');
  field.value = 'so';
  field.dispatchEvent(new Event('input', { bubbles: true }));
};

async function until(what, condition, limit = 60_000) {
  const deadline = Date.now() + limit;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

export async function drive(chromium, firefox, options) {
  const contexts = [];
  const newPage = async (browser, more) => {
    contexts.push(await newContext(browser, more));
    return contexts.at(-1).newPage();
  };
  try {
    return await talk(chromium, firefox, newPage, options);
  } finally {
    await Promise.all(contexts.map((context) => context.close()));
  }
}

async function talk(chromium, firefox, newPage, options) {
  const people = {};
  for (const [name, browser, carrier] of [
    ['Chromium over HTTP/3', chromium, 'native'],
    ['Firefox over WebSocket', firefox, 'websocket'],
    ['Firefox over HTTP/3', firefox, 'native'],
    ['Chromium <b>over</b> WebSocket', chromium, 'websocket'],
  ]) {
    const page = await newPage(browser);
    await page.goto(new URL(`/chat/?carrier=${carrier}`, options.url).href, { waitUntil: 'load', timeout: 30_000 });
    await until(`${name} comes in`, async () => (await page.evaluate(state)) === 'open');
    await page.evaluate(rename, name);
    people[name] = page;
  }
  const names = Object.keys(people);
  const pages = Object.values(people);
  await Promise.all(pages.map((page) => until('everybody is there', async () => {
    const here = await page.evaluate(present);
    return names.every((name) => name in here) && Object.keys(here).length === names.length;
  })));
  const here = await pages[0].evaluate(present);

  for (const [name, page] of Object.entries(people)) await page.evaluate(say, `<img src=x onerror=alert(1)> says ${name}`);
  await Promise.all(pages.map((page) => until('all is heard', async () => (await page.evaluate(said)).length === names.length)));

  // Who types is seen by the others, over either carrier.
  const seen = {};
  for (const [name, page] of Object.entries(people)) {
    await page.evaluate(type);
    const others = pages.filter((other) => other !== page);
    // Datagrams may be lost; typing on sends another one every two seconds.
    await until(`${name} is seen typing`, async () => {
      await page.evaluate(type);
      return (await Promise.all(others.map((other) => other.evaluate(typing)))).every((text) => text.includes(name) || /people are/.test(text));
    });
    seen[name] = true;
    await until('it fades', async () => (await Promise.all(pages.map((other) => other.evaluate(typing)))).every((text) => text === ''));
  }

  const heard = Object.fromEntries(await Promise.all(Object.entries(people).map(async ([name, page]) => [name, await page.evaluate(said)])));

  // A flood is held back, and the room goes on.
  const [, flooder] = Object.entries(people).find(([name]) => name.startsWith('Firefox over HTTP/3'));
  for (let i = 0; i < 14; ++i) await flooder.evaluate(say, `flood ${i}`);
  await until('the flood is told off', async () => (await flooder.evaluate(notes)).length > 0);
  const flood = { notes: await flooder.evaluate(notes), others: (await pages[0].evaluate(notes)).length };

  // A phone shows the end of what was said, though names take room above it then, and after its own message in any case.
  const phone = await newPage(chromium, { viewport: { width: 400, height: 500 } });
  await phone.goto(new URL('/chat/?carrier=native', options.url).href, { waitUntil: 'load', timeout: 30_000 });
  await until('the phone comes in', async () => (await phone.evaluate(state)) === 'open');
  await until('the phone shows the end', async () => (await phone.evaluate(fromEnd)) < 2);
  await phone.evaluate(() => { document.querySelector('.chat-log').scrollTop = 0; });
  await phone.evaluate(say, 'from the phone');
  await until('its own message is shown', async () => (await phone.evaluate(said)).at(-1).text === 'from the phone'
    && (await phone.evaluate(fromEnd)) < 2);
  await phone.close();

  // Who leaves is gone for the others.
  await people[names[3]].close();
  await until('one has left', async () => !(names[3] in (await pages[0].evaluate(present))));

  return { here, heard, typing: seen, flood };
}
