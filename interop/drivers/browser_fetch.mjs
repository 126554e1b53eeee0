// A page of Chromium's fetches one file: {"url"}. Says what came, and over what. Decides nothing.
import { inPage } from './in_page.mjs';

// Sent to the page as source text.
async function fetchFile(url) {
  const response = await fetch(url, { cache: 'no-store' });
  const body = await response.arrayBuffer();
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', body));
  return {
    status: response.status,
    length: body.byteLength,
    sha256: [...digest].map((byte) => byte.toString(16).padStart(2, '0')).join(''),
    protocol: performance.getEntriesByName(url).at(-1)?.nextHopProtocol,
  };
}

export function drive(browser, { url }) {
  return inPage(browser, async (page) => {
    // A page of the server's origin from which it may be asked, without asking it.
    await page.route('**/empty-page', (route) => route.fulfill({ contentType: 'text/html', body: '' }));
    await page.goto(new URL('/empty-page', url).href);
    return page.evaluate(fetchFile, url);
  });
}
