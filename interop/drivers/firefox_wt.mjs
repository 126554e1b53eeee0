// tern-webtransport in Firefox ESR, headless, on a page of tern's demo site:
//   node browser.mjs firefox_wt.mjs '{"module", "browser", "profile", "url", "package", "carriers", "quic", "door"}'
//
// quic: HTTP/3 may be used; door, hashes: as for chromium_wt.mjs. Decides nothing.
import { moduleUrl } from './esm_page.mjs';
import { inContext, launchFirefox } from './launch.mjs';
import { webTransport } from './page_wt.mjs';

export function launch(options) {
  const { port } = new URL(options.url);
  const preferences = options.quic
    ? {
      'network.http.http3.disable_when_third_party_roots_found': false,
      'network.http.http3.alt-svc-mapping-for-testing': `localhost;h3=:${port}`,
    }
    : { 'network.http.http3.enable': Boolean(options.hashes) };
  return launchFirefox(options, { ...preferences, 'network.http.http2.enabled': options.door !== 'http/1.1' },
    { acceptInsecureCerts: Boolean(options.hashes) });
}

export function drive(browser, options) {
  return inContext(browser, async (page) => {
    await page.goto(options.url, { waitUntil: 'load', timeout: 30000 });
    const given = { module: await moduleUrl(options.package), carriers: options.carriers, options: options.connect, hashes: options.hashes };
    return page.evaluate(webTransport, given);
  });
}
