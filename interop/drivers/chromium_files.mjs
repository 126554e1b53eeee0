// Debian's Chromium fetches files over HTTP/3, all at once, and keeps them:
//   node chromium_files.mjs '{"module", "browser", "urls", "downloads", "spki", "keys"}'
import { createRequire } from 'node:module';
import { writeFileSync } from 'node:fs';
import { basename } from 'node:path';

const options = JSON.parse(process.argv[2]);
const { chromium } = createRequire(import.meta.url)(options.module);
const origin = new URL(options.urls[0]);

const browser = await chromium.launch({
  executablePath: options.browser,
  ignoreDefaultArgs: ['--disable-quic'],
  args: [
    '--no-sandbox',
    `--origin-to-force-quic-on=${origin.hostname}:${origin.port || 443}`,
    `--ignore-certificate-errors-spki-list=${options.spki}`,
    `--ssl-key-log-file=${options.keys}`,
  ],
});
try {
  const page = await browser.newPage();
  await page.goto(origin.origin, { timeout: 30000 });  // 404: a page of the same origin
  const files = await page.evaluate((urls) => Promise.all(urls.map(async (url) => {
    const response = await fetch(url);
    if (!response.ok) throw new Error(`${url}: ${response.status}`);
    const bytes = new Uint8Array(await response.arrayBuffer());
    let text = '';
    for (let at = 0; at < bytes.length; at += 32768) {
      text += String.fromCharCode(...bytes.subarray(at, at + 32768));
    }
    return btoa(text);
  })), options.urls);
  files.forEach((file, i) => {
    const name = basename(new URL(options.urls[i]).pathname);
    writeFileSync(`${options.downloads}/${name}`, Buffer.from(file, 'base64'));
  });
} finally {
  await browser.close();
}
