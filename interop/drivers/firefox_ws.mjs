// The same as chromium_ws.mjs in Firefox ESR, headless, over HTTP/2 and HTTP/1.1, in a browser that firefox.mjs launches:
//   node browser.mjs firefox.mjs '{"module", "browser", "profile", "way"}' shared
import { inContext } from './launch.mjs';
import { webSockets } from './page_ws.mjs';

export function drive(browser, options) {
  return inContext(browser, async (page) => {
    await page.goto(options.url, { waitUntil: 'load', timeout: 30000 });
    return page.evaluate(webSockets);
  });
}
