// The chat of tern's demo site in a browser whose network stops passing UDP in the middle of the session: {"url", "idle", "drop"}
//
// idle: seconds in which nobody says anything, before; drop: the command that has the network drop UDP, absent when it does already.
// Says what carried the session, and what was heard. Decides nothing.
import { execFileSync } from 'node:child_process';
import { inPage } from './in_page.mjs';

// Each is sent to the page as source text.
const carrier = () => (document.querySelector('.chat').dataset.state === 'open'
  ? document.querySelector('.chat-status .chat-badge').dataset.carrier : '');
const visits = () => performance.getEntriesByType('resource').filter(({ name }) => name.endsWith('/chat/settings')).length;
const said = () => [...document.querySelectorAll('.chat-message .chat-text')].map((text) => text.textContent);
const say = (text) => {
  document.querySelector('#chat-text').value = text;
  document.querySelector('.chat-composer').requestSubmit();
};

async function until(what, condition, limit = 60_000) {
  const deadline = Date.now() + limit;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

async function look(page, options) {
  await page.goto(new URL('/chat/', options.url).href, { waitUntil: 'load', timeout: 30_000 });
  await until('the room', () => page.evaluate(carrier));
  const result = { first: await page.evaluate(carrier) };
  await page.evaluate(say, 'before');
  await until('the first message', async () => (await page.evaluate(said)).includes('before'));
  await new Promise((resolve) => setTimeout(resolve, 1000 * (options.idle ?? 0)));
  result.stayed = (await page.evaluate(carrier)) === result.first && (await page.evaluate(visits)) === 1;
  if (options.drop) {
    execFileSync(options.drop[0], options.drop.slice(1));
    await until('another carrier', async () => {
      const now = await page.evaluate(carrier);
      return now && now !== result.first;
    }, 100_000);
    result.second = await page.evaluate(carrier);
    await page.evaluate(say, 'after');
    await until('the second message', async () => (await page.evaluate(said)).includes('after'));
  }
  result.said = await page.evaluate(said);
  return result;
}

export const drive = (browser, options) => inPage(browser, (page) => look(page, options));
