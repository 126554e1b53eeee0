// tern-webtransport in Firefox ESR, headless, on a page of tern's demo site:
//   node firefox_wt.mjs '{"module", "browser", "profile", "url", "package", "carriers", "quic", "door"}'
//
// quic: HTTP/3 may be used; door, hashes: as for chromium_wt.mjs. Prints one JSON object with what the page saw, and decides nothing.
import { createRequire } from 'node:module';
import { moduleUrl } from './esm_page.mjs';
import { webTransport } from './page_wt.mjs';

const options = JSON.parse(process.argv[2]);
const puppeteer = createRequire(import.meta.url)(options.module);
const { port } = new URL(options.url);
const preferences = options.quic
  ? {
    'network.http.http3.disable_when_third_party_roots_found': false,
    'network.http.http3.alt-svc-mapping-for-testing': `localhost;h3=:${port}`,
  }
  : { 'network.http.http3.enable': Boolean(options.hashes) };

const browser = await puppeteer.launch({
  browser: 'firefox',
  executablePath: options.browser,
  userDataDir: options.profile,
  acceptInsecureCerts: Boolean(options.hashes),
  extraPrefsFirefox: { ...preferences, 'network.http.http2.enabled': options.door !== 'http/1.1' },
});
try {
  const page = await browser.newPage();
  await page.goto(options.url, { waitUntil: 'load', timeout: 30000 });
  const result = { browser: await browser.version() };
  const given = { module: await moduleUrl(options.package), carriers: options.carriers, options: options.connect, hashes: options.hashes };
  Object.assign(result, await page.evaluate(webTransport, given));
  console.log(JSON.stringify(result));
} finally {
  await browser.close();
}
