// bun's HTTP/3 server with the routes of tern's built-in demo site:
//   bun bun_server.mjs '{"port", "cert", "key", "root"}'
//
//   GET /hello      a short text            GET /bytes/N   N bytes, byte i = i mod 251
//   POST /echo      the body, its type      other paths    the files of `root`
const options = JSON.parse(process.argv[2]);

function bytes(count) {
  const body = new Uint8Array(count);
  for (let i = 0; i < count; i++) body[i] = i % 251;
  return new Response(body, { headers: { 'content-type': 'application/octet-stream' } });
}

async function handle(request) {
  const { pathname } = new URL(request.url);
  if (pathname === '/hello') return new Response('hello over h3\n');
  if (pathname === '/echo' && request.method === 'POST') {
    return new Response(await request.arrayBuffer(), {
      headers: { 'content-type': request.headers.get('content-type') ?? 'text/plain' },
    });
  }
  const count = /^\/bytes\/(\d{1,9})$/.exec(pathname);
  if (count) return bytes(Number(count[1]));
  const file = Bun.file(options.root + (pathname === '/' ? '/index.html' : pathname));
  if (pathname.includes('..') || !(await file.exists())) {
    return new Response('not found\n', { status: 404 });
  }
  const type = pathname.endsWith('.svg') ? 'image/svg+xml' : file.type;
  return new Response(file, { headers: { 'content-type': type } });
}

Bun.serve({
  port: options.port,
  hostname: options.host ?? '127.0.0.1',
  http3: true,
  tls: { cert: Bun.file(options.cert), key: Bun.file(options.key) },
  fetch: handle,
});
