// connect-node as a server of greeter.v1.Greeter, as gRPC, gRPC-Web and Connect over HTTP/2 and HTTP/1.1:
//   node connect_server.mjs PORT CERT KEY SCHEMA
// Says "listening" when it does. What came compressed, or with x-echo, it tells in header and trailer. Bundled, since its
// modules lie elsewhere.
import { readFileSync } from 'node:fs';
import { createSecureServer } from 'node:http2';
import { Code, ConnectError } from '@connectrpc/connect';
import { connectNodeAdapter } from '@connectrpc/connect-node';
import { greeter } from './rpc_calls.mjs';

const [port, cert, key, schema] = process.argv.slice(2);
const reply = (name) => ({ text: `hello ${name}` });

function echo(context) {
  const said = context.requestHeader.get('x-echo');
  if (said) {
    context.responseHeader.set('x-echo', said);
    context.responseTrailer.set('x-echo-end', said);
  }
}

function routes(router) {
  router.service(greeter(readFileSync(schema)), {
    sayHello(request, context) {
      echo(context);
      if (!request.name) throw new ConnectError('no näme', Code.InvalidArgument, { 'x-reason': 'empty' });
      return reply(request.name);
    },
    async* keepSaying(request, context) {
      echo(context);
      for (let i = 1; i <= 10; ++i) {
        yield { text: `hello ${request.name}, ${i}` };
        if (request.name === 'slow') await new Promise((done) => { setTimeout(done, 1000); });
      }
    },
    async greetAll(requests) {
      const names = [];
      for await (const request of requests) names.push(request.name);
      return reply(names.join(', '));
    },
    async* chat(requests) {
      for await (const request of requests) {
        if (!request.name) throw new ConnectError('nobody', Code.NotFound);
        yield reply(request.name);
      }
    },
  });
}

const server = createSecureServer({ cert: readFileSync(cert), key: readFileSync(key), allowHTTP1: true },
  connectNodeAdapter({ routes }));
server.listen(Number(port), '127.0.0.1', () => console.log('listening'));
