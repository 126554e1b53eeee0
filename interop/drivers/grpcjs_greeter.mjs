// grpc-js as a client of greeter.v1.Greeter:  node grpcjs_greeter.mjs MODULES PROTO IMPORTS HOST:PORT CA
// Every pattern, an error and a deadline; what came, as one line of JSON.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const [modules, proto, imports, target, ca] = process.argv.slice(2);
const require = createRequire(`${modules}/`);
const grpc = require('@grpc/grpc-js');
const { loadSync } = require('@grpc/proto-loader');

const definition = loadSync(proto, { includeDirs: [imports] });
const { Greeter } = grpc.loadPackageDefinition(definition).greeter.v1;
const client = new Greeter(target, grpc.credentials.createSsl(readFileSync(ca)));

const unary = (method, ...rest) => new Promise((done) => {
  client[method](...rest, (error, reply) => done(error ? { code: error.code, message: error.details } : reply.text));
});

const texts = (stream) => new Promise((done) => {
  const all = [];
  stream.on('data', (reply) => all.push(reply.text));
  stream.on('error', (error) => done({ all, code: error.code }));
  stream.on('end', () => done(all));
});

function send(stream, names) {
  for (const name of names) stream.write({ name });
  stream.end();
}

const all = new Promise((done) => {
  send(client.greetAll((error, reply) => done(error ? String(error) : reply.text)), ['a', 'b', 'c']);
});
const chat = client.chat();
send(chat, ['a', 'b']);
console.log(JSON.stringify({
  unary: await unary('sayHello', { name: 'ä' }),
  failure: await unary('sayHello', { name: '' }),
  stream: await texts(client.keepSaying({ name: 'b' })),
  timeout: await texts(client.keepSaying({ name: 'c' }, { deadline: Date.now() + 250 })),
  all: await all,
  chat: await texts(chat),
}));
client.close();
