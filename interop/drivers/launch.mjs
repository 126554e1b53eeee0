// How the drivers launch Debian's browsers, headless. `module` is the library, `browser` the program.
import { createRequire } from 'node:module';

// quic: whether QUIC is switched on; args: what else. Chromium trusts the key `spki`, if there is one.
export function launchChromium({ module, browser, spki }, quic, args) {
  const { chromium } = createRequire(import.meta.url)(module);
  const trusted = spki ? [`--ignore-certificate-errors-spki-list=${spki}`] : [];
  return chromium.launch({
    executablePath: browser,
    ignoreDefaultArgs: quic ? ['--disable-quic'] : [],
    // Nobody looks: a process that draws in software is not needed.
    args: ['--no-sandbox', '--disable-gpu', ...trusted, ...args],
  });
}

// profile: a fresh profile folder whose certificate store trusts the server's CA (certutil).
export function launchFirefox({ module, browser, profile }, preferences, more = {}) {
  return createRequire(import.meta.url)(module).launch({
    browser: 'firefox',
    executablePath: browser,
    userDataDir: profile,
    extraPrefsFirefox: preferences,
    ...more,
  });
}

// What `use` makes of a page in a browser context of its own.
export async function inContext(browser, use) {
  const context = await browser.createBrowserContext();
  try {
    return await use(await context.newPage());
  } finally {
    await context.close();
  }
}
