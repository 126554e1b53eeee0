// connect-node as a client:  node connect_client.mjs '{"modules", "url", "schema", "protocol", "http", "json"}'
//
// protocol: connect, grpc or grpcweb; http: "1.1" or "2". NODE_EXTRA_CA_CERTS names the CA. The driver is bundled, since its
// modules lie elsewhere.
import { readFile } from 'node:fs/promises';
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from '@connectrpc/connect-node';
import { calls, greeter } from './rpc_calls.mjs';

const options = JSON.parse(process.argv[2]);
const make = { connect: createConnectTransport, grpc: createGrpcTransport, grpcweb: createGrpcWebTransport };
const transport = make[options.protocol]({
  baseUrl: options.url,
  httpVersion: options.http,
  useBinaryFormat: !options.json,
  useHttpGet: options.get,
});
const service = greeter(await readFile(options.schema));
console.log(JSON.stringify(await calls(service, transport, options.http === '2')));
process.exit(0); // its HTTP/2 session stays open
