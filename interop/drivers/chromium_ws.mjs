// WebSocket and EventSource in Debian's Chromium, headless, on a page of tern's demo site:
//   node chromium_ws.mjs '{"module", "browser", "url", "spki", "way"}'
//
// way: "h3", "h2" or "http/1.1", for the page and for WebSockets, which take HTTP/2 when the page's connection is one.
// Prints one JSON object with what the page saw, and decides nothing.
import { createRequire } from 'node:module';
import { webSockets } from './page_ws.mjs';

const options = JSON.parse(process.argv[2]);
const { chromium } = createRequire(import.meta.url)(options.module);
const port = new URL(options.url).port;
const ways = {
  h3: [`--origin-to-force-quic-on=localhost:${port},127.0.0.1:${port}`,
    '--enable-features=EnableWebsocketsOverHttp3'],
  h2: [],
  'http/1.1': ['--disable-http2'],
};

const browser = await chromium.launch({
  executablePath: options.browser,
  ignoreDefaultArgs: options.way === 'h3' ? ['--disable-quic'] : [],
  args: ['--no-sandbox', `--ignore-certificate-errors-spki-list=${options.spki}`,
    ...ways[options.way]],
});
try {
  const page = await browser.newPage({ viewport: { width: 1200, height: 900 } });
  await page.goto(options.url, { waitUntil: 'load', timeout: 20000 });
  const result = { browser: browser.version() };
  Object.assign(result, await page.evaluate(webSockets));
  if (options.screenshot) await page.screenshot({ path: options.screenshot, fullPage: true });
  console.log(JSON.stringify(result));
} finally {
  await browser.close();
}
