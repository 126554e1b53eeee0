// Drives Debian's Chromium, headless: node chromium.mjs '{"module", "browser", "url", "spki"}'
//
// Loads the demo page and prints one JSON object with what the browser saw. It decides nothing:
// interop/run compares. `way` in the argument is how the browser comes to the server: "h3" at once
// (the default), "h2" or "http/1.1" with QUIC switched off, or "alt-svc": over TCP, with QUIC left to
// what the server says. `screenshot` keeps a picture of the page. `unblock` is a command that lets UDP through again: it
// is run when all that the page has fetched came over TCP, and fetching goes on until something comes over HTTP/3.
import { execFileSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { climb, demoPanels, pageMeasurements } from './page.mjs';

const options = JSON.parse(process.argv[2]);
const { chromium } = createRequire(import.meta.url)(options.module);
const way = options.way ?? 'h3';
const { host, hostname } = new URL(options.url);

// Over QUIC, Chromium trusts the web's own roots alone, however well a certificate of another is trusted
// over TCP: it closes the connection with certificate_unknown, and believes alt-svc no longer. The hosts
// of --origin-to-force-quic-on are excused from that, at every port; naming a port where nothing is
// excuses the host and forces nothing.
const ways = {
  h3: [`--origin-to-force-quic-on=${host}`],
  h2: [],
  'http/1.1': ['--disable-http2'],
  'alt-svc': [`--origin-to-force-quic-on=${hostname}:1`],
};

const browser = await chromium.launch({
  executablePath: options.browser,
  ignoreDefaultArgs: ['h3', 'alt-svc'].includes(way) ? ['--disable-quic'] : [],
  args: ['--no-sandbox', `--ignore-certificate-errors-spki-list=${options.spki}`, ...ways[way],
    // Where QUIC has failed, it is tried again after 2 s, not 5 minutes.
    ...(options.unblock ? ['--force-fieldtrials=QUIC/Enabled',
      '--force-fieldtrial-params=QUIC.Enabled:initial_delay_for_broken_alternative_service_seconds/2'] : [])],
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
  if (way === 'alt-svc') {
    result.climb = await page.evaluate(climb);
    if (options.unblock) {
      execFileSync(options.unblock[0], options.unblock.slice(1));
      result.climbAgain = [];
      for (let i = 0; i < 15 && result.climbAgain.at(-1) !== 'h3'; i++) {
        result.climbAgain.push(...(await page.evaluate(climb)).slice(1));
      }
    }
    await page.goto(`${options.url}?again`, { waitUntil: 'load', timeout: 20000 });
  }
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
