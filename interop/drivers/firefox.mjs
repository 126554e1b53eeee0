// Drives Firefox ESR, headless: node browser.mjs firefox.mjs '{"module", "browser", "url", "profile"}'
//
// Loads the demo page and says what the browser saw; `way` as in chromium.mjs.
import { inContext, launchFirefox } from './launch.mjs';
import { climb, demoPanels, pageMeasurements } from './page.mjs';

const ownRoots = { 'network.http.http3.disable_when_third_party_roots_found': false };

export function launch(options) {
  const port = options.url ? new URL(options.url).port : 0;
  const ways = {
    h3: { ...ownRoots, 'network.http.http3.alt-svc-mapping-for-testing': `localhost;h3=:${port}` },
    h2: { 'network.http.http3.enable': false },
    'http/1.1': { 'network.http.http3.enable': false, 'network.http.http2.enabled': false },
    'alt-svc': ownRoots,
  };
  return launchFirefox(options, ways[options.way ?? 'h3']);
}

export function drive(browser, options) {
  return inContext(browser, async (page) => {
    const complaints = [];
    page.on('pageerror', (error) => complaints.push(String(error)));
    const response = await page.goto(options.url, { waitUntil: 'load', timeout: 30000 });
    const result = { status: response.status() };
    if (options.way === 'alt-svc') {
      result.climb = await page.evaluate(climb);
      await page.goto(`${options.url}?again`, { waitUntil: 'load', timeout: 30000 });
    }
    result.panels = await page.evaluate(demoPanels);
    Object.assign(result, await page.evaluate(pageMeasurements));
    result.complaints = complaints;
    return result;
  });
}
