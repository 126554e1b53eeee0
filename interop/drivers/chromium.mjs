// Drives Debian's Chromium, headless: node browser.mjs chromium.mjs '{"module", "browser", "url", "spki"}'
//
// Loads the demo page and says what the browser saw. It decides nothing: interop/run compares. `way` in
// the argument is how the browser comes to the server: "h3" at once (the default), "h2" or "http/1.1"
// with QUIC switched off, or "alt-svc": over TCP, with QUIC left to what the server says. `hosts` are the
// hosts with ports that are to be asked over QUIC at once, where it is not the URL's alone. `screenshot`
// keeps a picture of the page. `unblock` is a command that lets UDP through again: it is run when all that the
// page has fetched came over TCP, and fetching goes on until something comes over HTTP/3.
import { execFileSync } from 'node:child_process';
import { launchChromium } from './launch.mjs';
import { climb, demoPanels, pageMeasurements } from './page.mjs';

// Over QUIC, Chromium trusts the web's own roots alone, however well a certificate of another is trusted
// over TCP: it closes the connection with certificate_unknown, and believes alt-svc no longer. The hosts
// of --origin-to-force-quic-on are excused from that, at every port; naming a port where nothing is
// excuses the host and forces nothing.
export function launch(options) {
  const { host, hostname } = new URL(options.url ?? 'https://localhost');
  const ways = {
    h3: [`--origin-to-force-quic-on=${(options.hosts ?? [host]).join()}`],
    h2: [],
    'http/1.1': ['--disable-http2'],
    'alt-svc': [`--origin-to-force-quic-on=${hostname}:1`],
  };
  const way = options.way ?? 'h3';
  return launchChromium(options, ['h3', 'alt-svc'].includes(way), [...ways[way],
    // Where QUIC has failed, it is tried again after 2 s, not 5 minutes.
    ...(options.unblock ? ['--force-fieldtrials=QUIC/Enabled',
      '--force-fieldtrial-params=QUIC.Enabled:initial_delay_for_broken_alternative_service_seconds/2'] : [])]);
}

export async function drive(browser, options) {
  const page = await browser.newPage({
    viewport: { width: options.width ?? 1200, height: options.height ?? 900 },
    colorScheme: options.scheme ?? 'light',
    javaScriptEnabled: !options.noScript,
  });
  try {
    return await look(page, options);
  } finally {
    await page.close();
  }
}

async function look(page, options) {
  const complaints = [];
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  const response = await page.goto(options.url, { waitUntil: 'load', timeout: 20000 });
  const result = { status: response.status() };
  if (options.way === 'alt-svc') {
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
