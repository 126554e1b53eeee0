// Launches browsers and drives them:
//   node browser.mjs                                             for each line {"id", "driver", "options", "browsers"} on standard
//                                                                input a run, beside the others, until the input ends
//   node browser.mjs DRIVER '{"module", "browser", …}'           one run of one driver, in a browser that it launches itself
//
// `browsers` is a list of {"name", "driver", "options"}: a browser of that name is launched once. A driver is a module of this folder:
// `launch(options)` returns a browser, `drive(browser…, options)` an object with what the page saw. It has browser contexts of its own,
// which know nothing of the other runs' connections, and decides nothing. Printed is for each line {"id", "seen"} or {"id", "error"}, or
// that object.
import { createInterface } from 'node:readline';

const module = (name) => import(new URL(`${name}.mjs`, import.meta.url));
const launched = new Map();

function launch({ name, driver, options }) {
  if (!launched.has(name)) launched.set(name, module(driver).then((made) => made.launch(options)));
  return launched.get(name);
}

async function run({ driver, options, browsers }) {
  const started = await Promise.all(browsers.map(launch));
  const { drive } = await module(driver);
  return { browser: String(await started[0].version()), ...await drive(...started, options) };
}

const [name, argument] = process.argv.slice(2);
try {
  if (name) {
    const options = JSON.parse(argument);
    console.log(JSON.stringify(await run({ driver: name, options, browsers: [{ name, driver: name, options }] })));
  } else {
    const underWay = [];
    for await (const line of createInterface({ input: process.stdin })) {
      const job = JSON.parse(line);
      const told = (outcome) => console.log(JSON.stringify({ id: job.id, ...outcome }));
      underWay.push(run(job).then((seen) => told({ seen }), (error) => told({ error: String(error) })));
    }
    await Promise.all(underWay);
  }
} finally {
  for (const browser of await Promise.allSettled(launched.values())) await browser.value?.close();
}
