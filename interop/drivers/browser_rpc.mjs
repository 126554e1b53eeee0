// connect-web and grpc-web in Chromium, on a page of one server that calls another: {"url", "service", "schema", "script", "native"}
//
// script: page_rpc.mjs, bundled; schema: a descriptor set in base64; native: with the browser's own WebTransport, too. Decides nothing.
import { inPage } from './in_page.mjs';

export function drive(browser, options) {
  return inPage(browser, async (page) => {
    await page.goto(options.url, { waitUntil: 'load', timeout: 20000 });
    await page.addScriptTag({ path: options.script });
    return page.evaluate((given) => globalThis.rpc(given),
      { baseUrl: options.service, schema: options.schema, native: options.native });
  });
}
