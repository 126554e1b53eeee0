// tern-webtransport in a browser, on a page of tern's demo site: {"url", "package", "carriers", "connect", "hashes"}
//
// hashes: SHA-256 of certificates, base64, that are trusted for sessions alone: the user has waved the page through, which is the
// profile's matter in Firefox. Decides nothing.
import { moduleUrl } from './esm_page.mjs';
import { inPage } from './in_page.mjs';
import { webTransport } from './page_wt.mjs';

export function drive(browser, options) {
  return inPage(browser, async (page) => {
    await page.goto(options.url, { waitUntil: 'load', timeout: 30000 });
    const given = { module: await moduleUrl(options.package), carriers: options.carriers, options: options.connect, hashes: options.hashes };
    return page.evaluate(webTransport, given);
  }, { ignoreHTTPSErrors: Boolean(options.hashes) });
}
