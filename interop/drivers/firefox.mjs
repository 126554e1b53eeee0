// Drives Firefox ESR, headless: node browser.mjs firefox '{"module", "browser", "url", "profile"}'
//
// Loads the demo page and says what the browser saw; options as for chromium.mjs.
import { createRequire } from 'node:module';
import { inPage } from './in_page.mjs';
import { climb, demoPanels, pageMeasurements } from './page.mjs';

// module: the library; browser: the program; profile: a fresh folder whose certificate store trusts the server's CA (certutil).
// host, port: asked over HTTP/3 at once.
export function launch({ module, browser, profile, url, host, port, quic = true, http2 = true }) {
  if (url) [host, port] = [new URL(url).hostname, new URL(url).port];
  return createRequire(import.meta.url)(module).launch({
    browser: 'firefox',
    executablePath: browser,
    userDataDir: profile,
    extraPrefsFirefox: {
      'network.http.http3.enable': quic,
      'network.http.http3.disable_when_third_party_roots_found': false,
      'network.http.http3.alt-svc-mapping-for-testing': host ? `${host};h3=:${port}` : '',
      'network.http.http2.enabled': http2,
    },
  });
}

export function drive(browser, options) {
  return inPage(browser, async (page) => {
    const complaints = [];
    page.on('pageerror', (error) => complaints.push(String(error)));
    const response = await page.goto(options.url, { waitUntil: 'load', timeout: 30000 });
    const result = { status: response.status() };
    if (options.climbs) {
      result.climb = await page.evaluate(climb);
      await page.goto(`${options.url}?again`, { waitUntil: 'load', timeout: 30000 });
    }
    result.panels = await page.evaluate(demoPanels);
    Object.assign(result, await page.evaluate(pageMeasurements));
    result.complaints = complaints;
    return result;
  });
}
