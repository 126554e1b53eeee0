// Launches a browser and drives it:
//   node browser.mjs DRIVER '{"module", "browser", …}'           one run of one driver
//   node browser.mjs DRIVER '{"module", "browser", …}' shared    then, for each line {"id", "driver", "options"} on standard input, a
//                                                                run beside the others in the same browser, until the input ends
//
// DRIVER is a module of this folder: `launch(options)` returns the browser, `drive(browser, options)` an object with what the page
// saw. It has a browser context of its own, which knows nothing of the other runs' connections, and decides nothing. Printed is that
// object, or for each line {"id", "seen"} or {"id", "error"}.
import { createInterface } from 'node:readline';

const [name, argument, mode] = process.argv.slice(2);
const options = JSON.parse(argument);
const driver = (file) => import(new URL(file, import.meta.url));

const browser = await (await driver(name)).launch(options);
async function run({ drive }, given) {
  return { browser: String(await browser.version()), ...await drive(browser, given) };
}
try {
  if (mode === 'shared') {
    const underWay = [];
    for await (const line of createInterface({ input: process.stdin })) {
      const job = JSON.parse(line);
      const told = (outcome) => console.log(JSON.stringify({ id: job.id, ...outcome }));
      underWay.push(driver(job.driver).then((module) => run(module, job.options))
        .then((seen) => told({ seen }), (error) => told({ error: String(error) })));
    }
    await Promise.all(underWay);
  } else {
    console.log(JSON.stringify(await run(await driver(name), options)));
  }
} finally {
  await browser.close();
}
