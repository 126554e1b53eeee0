// connect-web and grpc-web in Debian's Chromium, headless, on a page of one server that calls another:
//   node browser.mjs chromium_rpc.mjs '{"module", "browser", "url", "service", "schema", "script", "spki", "quic"}'
//
// script: page_rpc.mjs, bundled; schema: a descriptor set in base64. Decides nothing.
import { launchChromium } from './launch.mjs';

export function launch(options) {
  const quic = options.quic
    ? [`--origin-to-force-quic-on=${new URL(options.url).host},${new URL(options.service).host}`] : [];
  return launchChromium(options, true, quic);
}

export async function drive(browser, options) {
  const page = await browser.newPage();
  try {
    await page.goto(options.url, { waitUntil: 'load', timeout: 20000 });
    await page.addScriptTag({ path: options.script });
    return await page.evaluate((given) => globalThis.rpc(given),
      { baseUrl: options.service, schema: options.schema, native: options.quic });
  } finally {
    await page.close();
  }
}
