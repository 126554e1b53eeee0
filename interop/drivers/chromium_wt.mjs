// tern-webtransport in Debian's Chromium, headless, on a page of tern's demo site:
//   node chromium_wt.mjs '{"module", "browser", "url", "spki", "package", "carriers", "quic", "door", "features"}'
//
// quic: the page is to come over HTTP/3; door: "http/1.1" without HTTP/2; features: of Chromium's to switch on; hashes: SHA-256 of certificates, base64, that are trusted for
// sessions alone: the user has waved the page through. Prints one JSON object with what the page saw, and decides nothing.
import { createRequire } from 'node:module';
import { moduleUrl } from './esm_page.mjs';
import { webTransport } from './page_wt.mjs';

const options = JSON.parse(process.argv[2]);
const { chromium } = createRequire(import.meta.url)(options.module);
const port = new URL(options.url).port;
const quic = options.quic ? [`--origin-to-force-quic-on=localhost:${port}`] : [];
const trusted = options.hashes ? [] : [`--ignore-certificate-errors-spki-list=${options.spki}`];

const browser = await chromium.launch({
  executablePath: options.browser,
  ignoreDefaultArgs: ['--disable-quic'],
  args: ['--no-sandbox', ...trusted, ...quic, ...(options.door === 'http/1.1' ? ['--disable-http2'] : []),
    ...(options.features ? [`--enable-features=${options.features}`] : [])],
});
try {
  const page = await browser.newPage({ ignoreHTTPSErrors: Boolean(options.hashes) });
  await page.goto(options.url, { waitUntil: 'load', timeout: 20000 });
  const result = { browser: browser.version() };
  const given = { module: await moduleUrl(options.package), carriers: options.carriers, options: options.connect, hashes: options.hashes };
  Object.assign(result, await page.evaluate(webTransport, given));
  console.log(JSON.stringify(result));
} finally {
  await browser.close();
}
