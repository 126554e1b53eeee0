// Drives Debian's Chromium, headless: node browser.mjs chromium '{"module", "browser", "url", "spki"}'
//
// Loads the demo page and says what the browser saw. It decides nothing: interop/run compares. `climbs`: the page comes over TCP, and
// HTTP/3 is left to what the server says. `screenshot` keeps a picture of the page. `unblock` is a command that lets UDP through again: it is
// run when all that the page has fetched came over TCP, and fetching goes on until something comes over HTTP/3.
import { execFileSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { inPage } from './in_page.mjs';
import { climb, demoPanels, pageMeasurements } from './page.mjs';

// module: the library; browser: the program; spki: the key that it trusts. hosts: those (with ports) that are asked over QUIC at once.
// retry: where QUIC has failed, it is tried again after so many seconds, not 5 minutes.
//
// Over QUIC, Chromium trusts the web's own roots alone, however well a certificate of another is trusted
// over TCP: it closes the connection with certificate_unknown, and believes alt-svc no longer. The hosts
// of --origin-to-force-quic-on are excused from that, at every port.
export function launch({ module, browser, spki, url, hosts = [new URL(url).host], quic = true, http2 = true, features = [], retry }) {
  const { chromium } = createRequire(import.meta.url)(module);
  return chromium.launch({
    executablePath: browser,
    ignoreDefaultArgs: quic ? ['--disable-quic'] : [],
    args: [
      '--no-sandbox',
      '--disable-gpu', // Nobody looks: a process that draws in software is not needed.
      `--ignore-certificate-errors-spki-list=${spki}`,
      ...(quic ? [`--origin-to-force-quic-on=${hosts.join()}`] : []),
      ...(http2 ? [] : ['--disable-http2']),
      ...(features.length > 0 ? [`--enable-features=${features.join()}`] : []),
      ...(retry ? ['--force-fieldtrials=QUIC/Enabled',
        `--force-fieldtrial-params=QUIC.Enabled:initial_delay_for_broken_alternative_service_seconds/${retry}`] : []),
    ],
  });
}

export function drive(browser, options) {
  return inPage(browser, (page) => look(page, options), {
    viewport: { width: options.width ?? 1200, height: options.height ?? 900 },
    colorScheme: options.scheme ?? 'light',
    javaScriptEnabled: !options.noScript,
  });
}

async function look(page, options) {
  const complaints = [];
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  const response = await page.goto(options.url, { waitUntil: 'load', timeout: 20000 });
  const result = { status: response.status() };
  if (options.climbs) {
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
  return result;
}
