// Drives Firefox ESR, headless: node firefox.mjs '{"module", "browser", "url", "profile"}'
//
// `profile` is a fresh profile folder whose certificate store trusts the server's CA (certutil).
// Loads the demo page and prints one JSON object with what the browser saw; `way` as in chromium.mjs.
import { createRequire } from 'node:module';
import { climb, demoPanels, pageMeasurements } from './page.mjs';

const options = JSON.parse(process.argv[2]);
const puppeteer = createRequire(import.meta.url)(options.module);
const way = options.way ?? 'h3';
const { port } = new URL(options.url);

const ownRoots = { 'network.http.http3.disable_when_third_party_roots_found': false };
const ways = {
  h3: { ...ownRoots, 'network.http.http3.alt-svc-mapping-for-testing': `localhost;h3=:${port}` },
  h2: { 'network.http.http3.enable': false },
  'http/1.1': { 'network.http.http3.enable': false, 'network.http.http2.enabled': false },
  'alt-svc': ownRoots,
};

const browser = await puppeteer.launch({
  browser: 'firefox',
  executablePath: options.browser,
  userDataDir: options.profile,
  extraPrefsFirefox: ways[way],
});
try {
  const page = await browser.newPage();
  const complaints = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  const response = await page.goto(options.url, { waitUntil: 'load', timeout: 30000 });
  const result = { browser: await browser.version(), status: response.status() };
  if (way === 'alt-svc') {
    result.climb = await page.evaluate(climb);
    await page.goto(`${options.url}?again`, { waitUntil: 'load', timeout: 30000 });
  }
  result.panels = await page.evaluate(demoPanels);
  Object.assign(result, await page.evaluate(pageMeasurements));
  result.complaints = complaints;
  console.log(JSON.stringify(result));
} finally {
  await browser.close();
}
