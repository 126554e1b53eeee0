// tern-webtransport in Debian's Chromium, headless, on a page of tern's demo site:
//   node browser.mjs chromium_wt.mjs '{"module", "browser", "url", "spki", "package", "carriers", "quic", "door", "features"}'
//
// quic: the page is to come over HTTP/3; door: "http/1.1" without HTTP/2; features: of Chromium's to switch on; hashes: SHA-256 of certificates, base64, that are trusted for
// sessions alone: the user has waved the page through. Decides nothing.
import { moduleUrl } from './esm_page.mjs';
import { launchChromium } from './launch.mjs';
import { webTransport } from './page_wt.mjs';

export function launch(options) {
  const quic = options.quic ? [`--origin-to-force-quic-on=${new URL(options.url).host}`] : [];
  return launchChromium(options.hashes ? { ...options, spki: null } : options, true, [
    ...quic, ...(options.door === 'http/1.1' ? ['--disable-http2'] : []),
    ...(options.features ? [`--enable-features=${options.features}`] : [])]);
}

export async function drive(browser, options) {
  const page = await browser.newPage({ ignoreHTTPSErrors: Boolean(options.hashes) });
  try {
    await page.goto(options.url, { waitUntil: 'load', timeout: 20000 });
    const given = { module: await moduleUrl(options.package), carriers: options.carriers, options: options.connect, hashes: options.hashes };
    return await page.evaluate(webTransport, given);
  } finally {
    await page.close();
  }
}
