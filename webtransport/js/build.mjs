// Builds the package: dist/*.js with types, and dist/tern-webtransport.min.js, one file for pages without a bundler.
//   node build.mjs                                  with the devDependencies that npm has installed
//   node build.mjs --typescript DIR --esbuild DIR   with those that are there
//   node build.mjs --page FILE                      also writes the one file, for a page of this repository
//
// Prints {"minified", "gzip"}: bytes of the one file. Fails when it has grown past what README.md states.
import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';

const here = dirname(fileURLToPath(import.meta.url));
const { values } = parseArgs({
  options: { typescript: { type: 'string' }, esbuild: { type: 'string' }, page: { type: 'string' } },
});
const require = createRequire(import.meta.url);
const folderOf = (name) => values[name] ?? dirname(require.resolve(`${name}/package.json`));

rmSync(join(here, 'dist'), { recursive: true, force: true });
execFileSync(process.execPath, [join(folderOf('typescript'), 'bin/tsc'), '-p', join(here, 'tsconfig.json')], { stdio: 'inherit' });

const { buildSync } = require(values.esbuild ?? 'esbuild');
const bundle = (options) => buildSync({
  entryPoints: [join(here, 'src/index.ts')], absWorkingDir: here, bundle: true, format: 'esm', target: 'es2022', logLevel: 'warning', ...options,
});
const file = join(here, 'dist/tern-webtransport.min.js');
bundle({ outfile: file, minify: true });
if (values.page) {
  const { outputFiles } = bundle({ write: false, minify: true, banner: { js: '// Made by webtransport/js/build.mjs --page from webtransport/js/src.' } });
  writeFileSync(values.page, outputFiles[0].contents);
}

const bytes = readFileSync(file);
const size = { minified: bytes.length, gzip: gzipSync(bytes, { level: 9 }).length };
console.log(JSON.stringify(size));
// README.md says so.
const most = { minified: 13_500, gzip: 5_200 };
for (const [what, limit] of Object.entries(most)) {
  if (size[what] > limit) {
    console.error(`${what}: ${size[what]} bytes, more than ${limit}`);
    process.exitCode = 1;
  }
}
