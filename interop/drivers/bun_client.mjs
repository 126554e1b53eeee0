// bun's HTTP/3 client against tern's demo site:
//
//   NODE_EXTRA_CA_CERTS=ca.pem bun bun_client.mjs ORIGIN
//
// Prints one JSON object with the status, length and SHA-256 of each answer; interop/run compares.
const origin = process.argv[2];

async function request(path, init = {}) {
  const response = await fetch(origin + path, { protocol: 'http3', ...init });
  const body = new Uint8Array(await response.arrayBuffer());
  return {
    status: response.status,
    type: response.headers.get('content-type') ?? '',
    declared: response.headers.get('content-length') ?? '',
    length: body.length,
    sha256: new Bun.CryptoHasher('sha256').update(body).digest('hex'),
  };
}

const sent = Uint8Array.from({ length: 300000 }, (_, i) => (i * 7 + (i >> 8)) % 256);
console.log(JSON.stringify({
  small: await request('/hello'),
  large: await request('/bytes/20000000'),
  post: await request('/echo', {
    method: 'POST', body: sent, headers: { 'content-type': 'application/x-tern-interop' },
  }),
  head: await request('/bytes/1000', { method: 'HEAD' }),
  range: await request('/index.html', { headers: { range: 'bytes=10-109' } }),
  missing: await request('/no-such-page'),
  parallel: await Promise.all(Array.from({ length: 100 }, (_, i) => request(`/bytes/${1000 + i}`))),
}));
