// Every pattern of greeter.v1.Greeter through a transport of Connect for ECMAScript, in Node.js and in a page alike. What
// came back, and no verdict.
import { createFileRegistry, fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { createClient } from '@connectrpc/connect';

/** The service of a descriptor set's bytes: no code is generated. */
export function greeter(descriptors) {
  return createFileRegistry(fromBinary(FileDescriptorSetSchema, descriptors)).getService('greeter.v1.Greeter');
}

async function* names(...each) {
  for (const name of each) yield { name };
}

async function texts(stream) {
  const all = [];
  for await (const reply of stream) all.push(reply.text);
  return all;
}

async function failure(call) {
  try {
    await call();
    return null;
  } catch (error) {
    return { code: error.code, message: error.rawMessage };
  }
}

/** streams: the transport can stream requests. */
export async function calls(service, transport, streams) {
  const client = createClient(service, transport);
  const headers = {};
  const seen = {
    unary: (await client.sayHello({ name: 'ä' }, { onHeader: (all) => { headers.type = all.get('content-type'); } })).text,
    stream: await texts(client.keepSaying({ name: 'b' })),
    failure: await failure(() => client.sayHello({ name: '' })),
    timeout: await failure(() => texts(client.keepSaying({ name: 'c' }, { timeoutMs: 250 }))),
    many: (await Promise.all(Array.from({ length: 50 }, (_, i) => client.sayHello({ name: `n${i}` }))))
      .filter((reply, i) => reply.text.startsWith(`hello n${i} over `)).length,
    headers,
  };
  if (streams) {
    seen.all = (await client.greetAll(names('a', 'b', 'c'))).text;
    seen.chat = await texts(client.chat(names('a', 'b')));
    seen.silent = await texts(client.chat(names()));
  }
  return seen;
}
