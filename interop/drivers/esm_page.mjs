// Brings an npm package's modules into a page as one: each import of a neighbour becomes a data: URL
// of what the neighbour holds. Prints nothing, touches nothing.
import { readFile } from 'node:fs/promises';
import path from 'node:path';

export async function moduleUrl(file, known = new Map()) {
  const whole = path.resolve(file);
  if (known.has(whole)) return known.get(whole);
  let text = await readFile(whole, 'utf8');
  for (const [statement, neighbour] of text.matchAll(/from '(\.\/[^']+)'/g)) {
    const url = await moduleUrl(path.join(path.dirname(whole), neighbour), known);
    text = text.replaceAll(statement, `from '${url}'`);
  }
  const url = `data:text/javascript;base64,${Buffer.from(text).toString('base64')}`;
  known.set(whole, url);
  return url;
}
