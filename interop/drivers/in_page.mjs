// Browser contexts and pages of either library: playwright's Chromium, puppeteer's Firefox.

// options: playwright's.
export const newContext = (browser, options = {}) => browser.createBrowserContext?.() ?? browser.newContext(options);

// What `use` makes of a page in a browser context of its own.
export async function inPage(browser, use, options) {
  const context = await newContext(browser, options);
  try {
    return await use(await context.newPage());
  } finally {
    await context.close();
  }
}
