// connect-web and grpc-web in Debian's Chromium, headless, on a page of one server that calls another:
//   node chromium_rpc.mjs '{"module", "browser", "url", "service", "schema", "script", "spki", "quic"}'
//
// script: page_rpc.mjs, bundled; schema: a descriptor set in base64. Prints one JSON object with what the page saw, and decides nothing.
import { createRequire } from 'node:module';

const options = JSON.parse(process.argv[2]);
const { chromium } = createRequire(import.meta.url)(options.module);
const port = (url) => new URL(url).port;
const quic = options.quic
  ? [`--origin-to-force-quic-on=localhost:${port(options.url)},localhost:${port(options.service)}`] : [];

const browser = await chromium.launch({
  executablePath: options.browser,
  ignoreDefaultArgs: ['--disable-quic'],
  args: ['--no-sandbox', `--ignore-certificate-errors-spki-list=${options.spki}`, ...quic],
});
try {
  const page = await browser.newPage();
  await page.goto(options.url, { waitUntil: 'load', timeout: 20000 });
  await page.addScriptTag({ path: options.script });
  const result = { browser: browser.version() };
  Object.assign(result, await page.evaluate((given) => globalThis.rpc(given),
    { baseUrl: options.service, schema: options.schema, native: options.quic }));
  console.log(JSON.stringify(result));
} finally {
  await browser.close();
}
