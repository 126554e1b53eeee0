// Debian's Chromium fetches files over HTTP/3 and keeps them:
//   node chromium_files.mjs '{"module", "browser", "groups", "between", "downloads", "spki", "keys"}'
//
// `groups` are lists of URLs; those of a group are fetched at once. What happens between two groups:
// "forget" gives the next one a browser context of its own, which knows nothing of the others;
// "reconnect" closes the connections, and keeps what the browser knows of the server.
import { createRequire } from 'node:module';
import { writeFileSync } from 'node:fs';
import { basename } from 'node:path';

const options = JSON.parse(process.argv[2]);
const { chromium } = createRequire(import.meta.url)(options.module);
const origin = new URL(options.groups[0][0]);
const AT_ONCE = 100;  // requests of one page

const browser = await chromium.launch({
  executablePath: options.browser,
  ignoreDefaultArgs: ['--disable-quic'],
  args: [
    '--no-sandbox',
    '--disable-gpu',
    `--origin-to-force-quic-on=${origin.hostname}:${origin.port || 443}`,
    `--ignore-certificate-errors-spki-list=${options.spki}`,
    `--ssl-key-log-file=${options.keys}`,
    ...(options.flags ?? []),
  ],
});

// Runs in the page: the files in base64.
async function fetchAll(urls) {
  return Promise.all(urls.map(async (url) => {
    const response = await fetch(url);
    if (!response.ok) throw new Error(`${url}: ${response.status}`);
    const bytes = new Uint8Array(await response.arrayBuffer());
    let text = '';
    for (let at = 0; at < bytes.length; at += 32768) {
      text += String.fromCharCode(...bytes.subarray(at, at + 32768));
    }
    return btoa(text);
  }));
}

async function visit(context, urls) {
  const page = await context.newPage();
  page.on('requestfailed', (request) => {
    console.error(`chromium: ${basename(request.url())}: ${request.failure().errorText}`);
  });
  // A page of the server's origin from which it may be asked, without asking it.
  await page.route('**/empty-page', (route) => route.fulfill({ contentType: 'text/html', body: '' }));
  await page.goto(`${origin.origin}/empty-page`);
  for (let at = 0; at < urls.length; at += AT_ONCE) {
    const part = urls.slice(at, at + AT_ONCE);
    const files = await page.evaluate(fetchAll, part);
    files.forEach((file, i) => {
      const name = basename(new URL(part[i]).pathname);
      writeFileSync(`${options.downloads}/${name}`, Buffer.from(file, 'base64'));
    });
  }
  await page.close();
}

async function closeConnections(context) {
  const page = await context.newPage();
  await page.goto('chrome://net-internals/#sockets');
  await page.click('#sockets-view-flush-button');
  await page.close();
}

try {
  let context = await browser.newContext();
  for (const [number, urls] of options.groups.entries()) {
    if (number > 0 && options.between === 'forget') {
      await context.close();
      context = await browser.newContext();
    } else if (number > 0) {
      await closeConnections(context);
    }
    await visit(context, urls);
  }
} catch (error) {
  console.error(`chromium: ${error.message.split('\n')[0]}`);
  process.exitCode = 1;
} finally {
  await browser.close();
}
