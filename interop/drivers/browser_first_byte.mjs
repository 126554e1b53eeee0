// How long after the page has loaded the first byte of a session is there: {"url", "tries"}
//
// Of a room that speaks first (/chat/room), and of an echo (/wt/echo). Each try is a page of its own and a connection of its own. Says
// milliseconds, and decides nothing.
import { inPage } from './in_page.mjs';

// Sent to the page as source text.
const measure = async ({ path, speak }) => {
  const begun = performance.now();
  const session = new WebTransport(new URL(path, location.href));
  await session.ready;
  const ready = performance.now() - begun;
  let reader;
  if (speak) {
    const stream = await session.createBidirectionalStream();
    stream.writable.getWriter().write(new Uint8Array(1)).catch(() => {});
    reader = stream.readable.getReader();
  } else {
    const { value } = await session.incomingUnidirectionalStreams.getReader().read();
    reader = value.getReader();
  }
  await reader.read();
  const first = performance.now() - begun;
  session.close();
  return { ready, first };
};

export function drive(browser, options) {
  return inPage(browser, async (page) => {
    const result = { room: [], echo: [] };
    for (let i = 0; i < options.tries; ++i) {
      for (const [what, given] of [['room', { path: '/chat/room', speak: false }], ['echo', { path: '/wt/echo', speak: true }]]) {
        await page.goto(options.url, { waitUntil: 'load', timeout: 30_000 });
        result[what].push(await page.evaluate(measure, given));
      }
    }
    return result;
  });
}
