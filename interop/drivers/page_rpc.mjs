// What a page sees of greeter.v1.Greeter: bundled into one script, which leaves `rpc` in the page.
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { createConnectTransport, createGrpcWebTransport } from '@connectrpc/connect-web';
import grpcWeb from 'grpc-web';
import { open } from '../../examples/greeter/webtransport_call.mjs';
import { connect } from '../../webtransport/js/src/index.ts';
import { calls, greeter } from './rpc_calls.mjs';

/** grpc-web, Google's own client: unary, an error and a server stream. */
async function google(service, baseUrl, format) {
  const client = new grpcWeb.GrpcWebClientBase({ format });
  const descriptor = (method, type) => new grpcWeb.MethodDescriptor(
    `/greeter.v1.Greeter/${method.name}`, type, Object, Object,
    (request) => toBinary(method.input, create(method.input, request)),
    (bytes) => fromBinary(method.output, bytes));
  const say = descriptor(service.method.sayHello, grpcWeb.MethodType.UNARY);
  const unary = (name) => new Promise((resolve, reject) => {
    client.rpcCall(`${baseUrl}/greeter.v1.Greeter/SayHello`, { name }, {}, say,
      (error, reply) => (error ? reject(error) : resolve(reply.text)));
  });
  const seen = { unary: await unary('ä') };
  seen.failure = await unary('').then(() => null, (error) => ({ code: error.code, message: error.message }));
  seen.stream = await new Promise((resolve, reject) => {
    const all = [];
    const stream = client.serverStreaming(`${baseUrl}/greeter.v1.Greeter/KeepSaying`, { name: 'b' }, {},
      descriptor(service.method.keepSaying, grpcWeb.MethodType.SERVER_STREAMING));
    stream.on('data', (reply) => all.push(reply.text));
    stream.on('error', reject);
    stream.on('end', () => resolve(all));
  });
  return seen;
}

/** A call over a WebSocket: requests stream, which `fetch` cannot. */
const socket = (baseUrl, ...names) => new Promise((resolve) => {
  const texts = [];
  const open = new WebSocket(`${baseUrl.replace('https', 'wss')}/greeter.v1.Greeter/Chat`);
  open.onopen = () => {
    for (const name of names) open.send(JSON.stringify({ name }));
    open.send('');
  };
  open.onmessage = ({ data }) => texts.push(JSON.parse(data).text);
  open.onclose = ({ code }) => resolve({ texts, code });
});

/** Calls on the streams of one WebTransport session, at the same time. */
async function streams(baseUrl, carrier) {
  const session = await connect(`${baseUrl}/rpc`, { carriers: [carrier] });
  const call = async (method, ...names) => {
    const opened = await open(session, `/greeter.v1.Greeter/${method}`);
    for (const name of names) await opened.send({ name });
    await opened.end();
    const texts = [];
    for await (const { text } of opened.replies()) texts.push(text);
    return texts;
  };
  const pingPong = async () => {
    const opened = await open(session, '/greeter.v1.Greeter/Chat', { 'x-page': 'yes' });
    const replies = opened.replies();
    const texts = [];
    for (const name of ['p', 'q', 'r']) {
      await opened.send({ name });
      texts.push((await replies.next()).value.text);
    }
    await opened.end();
    texts.push((await replies.next()).done);
    return texts;
  };
  const refused = (promise) => promise.then(() => null, ({ code, message }) => ({ code, message }));
  const [unary, stream, all, chat, failure, unknown] = await Promise.all([
    call('SayHello', 'ä'), call('KeepSaying', 'b'), call('GreetAll', 'a', 'b', 'c'), pingPong(),
    refused(call('SayHello', '')), refused(call('Nothing', ''))]);
  const many = await Promise.all(Array.from({ length: 50 }, (_, i) => call('SayHello', `${i}`)));
  session.close();
  return { unary, stream, all, chat, failure, unknown: unknown.code,
    many: many.filter(([text], i) => text.startsWith(`hello ${i} `)).length };
}

/** A failure that says what failed, instead of none of the results. */
const guarded = (promise) => promise.catch((error) => ({ failed: String(error) }));

globalThis.rpc = async ({ baseUrl, schema, native }) => {
  const service = greeter(Uint8Array.from(atob(schema), (c) => c.charCodeAt(0)));
  const web = (transport) => guarded(calls(service, transport, false));
  return {
    connect: await web(createConnectTransport({ baseUrl })),
    connect_binary: await web(createConnectTransport({ baseUrl, useBinaryFormat: true })),
    connect_get: await web(createConnectTransport({ baseUrl, useHttpGet: true })),
    grpc_web: await web(createGrpcWebTransport({ baseUrl })),
    google_text: await guarded(google(service, baseUrl, 'text')),
    google_binary: await guarded(google(service, baseUrl, 'binary')),
    rest: await guarded(fetch(`${baseUrl}/v1/hello/page`).then((response) => response.json())),
    socket: await socket(baseUrl, 'a', 'b', 'c'),
    streams: native ? await guarded(streams(baseUrl, 'native')) : null,
    streams_socket: await guarded(streams(baseUrl, 'websocket')),
    refused: await fetch(`${baseUrl}/v1/hello/page`, { method: 'PUT' }).then(() => 'answered', () => 'refused'),
  };
};
