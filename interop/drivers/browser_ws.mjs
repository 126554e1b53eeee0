// WebSocket and EventSource in a browser, on a page of tern's demo site: {"url"}. WebSockets take HTTP/2 when the page's connection is
// one. Decides nothing.
import { inPage } from './in_page.mjs';
import { webSockets } from './page_ws.mjs';

export function drive(browser, options) {
  return inPage(browser, async (page) => {
    await page.goto(options.url, { waitUntil: 'load', timeout: 30000 });
    return page.evaluate(webSockets);
  });
}
