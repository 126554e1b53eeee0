// WebSocket and EventSource in Debian's Chromium, headless, on a page of tern's demo site:
//   node browser.mjs chromium_ws.mjs '{"module", "browser", "url", "spki", "way"}'
//
// way: "h3", "h2" or "http/1.1", for the page and for WebSockets, which take HTTP/2 when the page's connection is one.
// Decides nothing.
import { launchChromium } from './launch.mjs';
import { webSockets } from './page_ws.mjs';

export function launch(options) {
  const { port } = new URL(options.url);
  const ways = {
    h3: [`--origin-to-force-quic-on=localhost:${port},127.0.0.1:${port}`,
      '--enable-features=EnableWebsocketsOverHttp3'],
    h2: [],
    'http/1.1': ['--disable-http2'],
  };
  return launchChromium(options, options.way === 'h3', ways[options.way]);
}

export async function drive(browser, options) {
  const page = await browser.newPage({ viewport: { width: 1200, height: 900 } });
  try {
    await page.goto(options.url, { waitUntil: 'load', timeout: 20000 });
    const result = await page.evaluate(webSockets);
    if (options.screenshot) await page.screenshot({ path: options.screenshot, fullPage: true });
    return result;
  } finally {
    await page.close();
  }
}
