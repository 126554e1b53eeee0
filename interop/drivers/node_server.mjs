// Node's http2 server, which speaks HTTP/1.1 too: node node_server.mjs '{"port", "cert", "key", "root"}'
//
// Files of `root`, /bytes/N, POST /echo, and what other servers do seldom:
//   /old        redirects to /small.txt
//   /refuse     answers 403 at once and does not want the request's body
//   /hints      103 (Early Hints), a body of unknown length, trailers
//   /parting/N  as /bytes/N, and the connection takes no more requests: GOAWAY, or `connection: close`
//   /lost/N     is not answered the first time: the stream is above what a GOAWAY says was seen, or the
//               connection ends
import { readFileSync } from 'node:fs';
import http2 from 'node:http2';
import { join } from 'node:path';

const options = JSON.parse(process.argv[2]);
const pattern = Buffer.from(Uint8Array.from({ length: 251 * 256 }, (_, i) => i % 251));
const bytes = (count) => Buffer.concat(
  Array.from({ length: Math.ceil(count / pattern.length) }, () => pattern)).subarray(0, count);
const lost = new Set();

function handle(request, response) {
  const [, name, count] = request.url.split('/');
  const { session } = response.stream ?? {};
  switch (name) {
    case 'bytes': return response.end(bytes(Number(count)));
    case 'echo':
      response.writeHead(200, { 'content-type': request.headers['content-type'] ?? 'text/plain' });
      return request.pipe(response);
    case 'old': return response.writeHead(302, { location: '/small.txt' }).end();
    case 'refuse': return response.writeHead(403).end('no\n');
    case 'hints':
      response.writeEarlyHints({ link: '</a.css>; rel=preload; as=style' });
      response.writeHead(200, { trailer: 'x-checksum' });
      response.write('some ');
      response.addTrailers({ 'x-checksum': '0815' });
      return response.end('words\n');
    case 'parting':
      if (session) session.goaway();
      else response.shouldKeepAlive = false;
      return response.end(bytes(Number(count)));
    case 'lost':
      if (lost.has(request.url)) return response.end(bytes(Number(count)));
      lost.add(request.url);
      if (!session) return request.socket.destroy();
      session.goaway(http2.constants.NGHTTP2_NO_ERROR, response.stream.id - 2);
      return session.destroy();
    default:
      try {
        return response.end(readFileSync(join(options.root, name)));
      } catch {
        return response.writeHead(404).end('not here\n');
      }
  }
}

const server = http2.createSecureServer({
  allowHTTP1: true, cert: readFileSync(options.cert), key: readFileSync(options.key),
}, handle);
server.on('sessionError', () => {});
server.listen(options.port, '::', () => console.log('listening'));
