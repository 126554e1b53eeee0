// Drives Debian's Chromium, headless: node chromium.mjs '{"module", "browser", "url", "spki"}'
//
// Loads the demo page over HTTP/3 and prints one JSON object with what the browser saw. It decides
// nothing: interop/run compares. `screenshot` in the argument keeps a picture of the page.
import { createRequire } from 'node:module';
import { demoPanels, pageMeasurements } from './page.mjs';

const options = JSON.parse(process.argv[2]);
const { chromium } = createRequire(import.meta.url)(options.module);

const browser = await chromium.launch({
  executablePath: options.browser,
  ignoreDefaultArgs: ['--disable-quic'],
  args: [
    '--no-sandbox',
    `--origin-to-force-quic-on=${new URL(options.url).host}`,
    `--ignore-certificate-errors-spki-list=${options.spki}`,
  ],
});
try {
  const page = await browser.newPage({
    viewport: { width: options.width ?? 1200, height: options.height ?? 900 },
    colorScheme: options.scheme ?? 'light',
    javaScriptEnabled: !options.noScript,
  });
  const complaints = [];
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  const response = await page.goto(options.url, { waitUntil: 'load', timeout: 20000 });
  const result = { browser: browser.version(), status: response.status() };
  if (!options.noScript) {
    result.panels = await page.evaluate(demoPanels);
    if (options.screenshot) await page.screenshot({ path: options.screenshot, fullPage: true });
    Object.assign(result, await page.evaluate(pageMeasurements));
  } else if (options.screenshot) {
    await page.screenshot({ path: options.screenshot, fullPage: true });
  }
  result.complaints = complaints;
  console.log(JSON.stringify(result));
} finally {
  await browser.close();
}
