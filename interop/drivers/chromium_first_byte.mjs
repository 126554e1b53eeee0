// How long after the page has loaded the first byte of a session is there, in Debian's Chromium:
//   node chromium_first_byte.mjs '{"module", "browser", "url", "spki", "tries"}'
//
// Of a room that speaks first (/chat/room), and of an echo (/wt/echo). Each try is a page of its own and a connection of its own. Prints one JSON
// object with milliseconds, and decides nothing.
import { createRequire } from 'node:module';

const options = JSON.parse(process.argv[2]);
const { chromium } = createRequire(import.meta.url)(options.module);
const port = new URL(options.url).port;

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

const browser = await chromium.launch({
  executablePath: options.browser,
  ignoreDefaultArgs: ['--disable-quic'],
  // The relay is on 127.0.0.1 alone.
  args: ['--no-sandbox', '--disable-gpu', `--ignore-certificate-errors-spki-list=${options.spki}`, `--origin-to-force-quic-on=localhost:${port}`,
    '--host-resolver-rules=MAP localhost 127.0.0.1'],
});
try {
  const result = { browser: browser.version(), room: [], echo: [] };
  const page = await browser.newPage();
  for (let i = 0; i < options.tries; ++i) {
    for (const [what, given] of [['room', { path: '/chat/room', speak: false }], ['echo', { path: '/wt/echo', speak: true }]]) {
      await page.goto(options.url, { waitUntil: 'load', timeout: 30_000 });
      result[what].push(await page.evaluate(measure, given));
    }
  }
  console.log(JSON.stringify(result));
} finally {
  await browser.close();
}
