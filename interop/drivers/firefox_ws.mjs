// The same as chromium_ws.mjs in Firefox ESR, headless, over HTTP/2 and HTTP/1.1:
//   node firefox_ws.mjs '{"module", "browser", "url", "profile", "way"}'
import { createRequire } from 'node:module';
import { webSockets } from './page_ws.mjs';

const options = JSON.parse(process.argv[2]);
const puppeteer = createRequire(import.meta.url)(options.module);

const browser = await puppeteer.launch({
  browser: 'firefox',
  executablePath: options.browser,
  userDataDir: options.profile,
  extraPrefsFirefox: {
    'network.http.http3.enable': false,
    'network.http.http2.enabled': options.way === 'h2',
  },
});
try {
  const page = await browser.newPage();
  await page.goto(options.url, { waitUntil: 'load', timeout: 30000 });
  const result = { browser: await browser.version() };
  Object.assign(result, await page.evaluate(webSockets));
  console.log(JSON.stringify(result));
} finally {
  await browser.close();
}
