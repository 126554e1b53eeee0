// impit's clients (rustls, quinn, h3) against tern's demo site:
//
//   node impit_client.mjs MODULE ORIGIN [BROWSER]
//
// MODULE is impit's folder, BROWSER whom it pretends to be; without one every request is HTTP/3 from the first, with
// one it finds HTTP/3 by itself. Prints one JSON object with the status, length and SHA-256 of each answer;
// interop/run compares.
import { createHash } from 'node:crypto';
import { createRequire } from 'node:module';

const [, , module, origin, browser] = process.argv;
const { Impit } = createRequire(import.meta.url)(module);
const client = new Impit({ browser: browser || undefined, http3: true, ignoreTlsErrors: true, timeout: 60000 });

async function request(path, init = {}) {
  const response = await client.fetch(origin + path, { forceHttp3: !browser, ...init });
  const body = await response.bytes();
  const fields = new Map(response.headers);
  return {
    status: response.status,
    type: fields.get('content-type') ?? '',
    declared: fields.get('content-length') ?? '',
    length: body.length,
    sha256: createHash('sha256').update(body).digest('hex'),
  };
}

const sent = Buffer.from(Uint8Array.from({ length: 300000 }, (_, i) => (i * 7 + (i >> 8)) % 256));
const seen = { first: await request('/bytes/10') };
// One after the other, so that Alt-Svc has been read.
seen.small = await request('/hello');
seen.large = await request('/bytes/20000000');
seen.post = await request('/echo', {
  method: 'POST', body: sent, headers: { 'content-type': 'application/x-tern-interop' },
});
seen.head = await request('/bytes/1000', { method: 'HEAD' });
seen.range = await request('/index.html', { headers: { range: 'bytes=10-109' } });
seen.missing = await request('/no-such-page');
seen.parallel = await Promise.all(Array.from({ length: 100 }, (_, i) => request(`/bytes/${1000 + i}`)));
console.log(JSON.stringify(seen));
process.exit(0);
