// gRPC's interoperability tests with @grpc/grpc-js: a client and a server of grpc.testing.TestService.
//
//   node grpcjs_peer.mjs client MODULES PROTO HOST:PORT CA   prints {"case": "what was wrong, or empty"}
//   node grpcjs_peer.mjs server MODULES PROTO PORT CERT KEY  says "listening", serves until it is ended
//
// MODULES is the folder of node_modules that has @grpc/grpc-js and @grpc/proto-loader.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [role, modules, proto, ...rest] = process.argv.slice(2);
const load = createRequire(`${modules}/`);
const grpc = load("@grpc/grpc-js");
const loader = load("@grpc/proto-loader");
const definition = loader.loadSync(proto, { keepCase: true, defaults: true, enums: Number });
const testing = grpc.loadPackageDefinition(definition).grpc.testing;

const INITIAL = "x-grpc-test-echo-initial";
const TRAILING = "x-grpc-test-echo-trailing-bin";
const SPECIAL = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n";
const REQUESTS = [27182, 8, 1828, 45904];
const RESPONSES = [31415, 9, 2653, 58979];

const payload = (size) => ({ body: Buffer.alloc(size) });
const large = () => ({ response_size: 314159, payload: payload(271828) });
const output = (size, body) => ({ response_parameters: [{ size }], payload: payload(body) });

function expect(condition, what) {
  if (!condition) throw new Error(String(what));
}

// ---- client -------------------------------------------------------------------------------------

/** A unary call: {error, response, initial, trailing}. */
function unary(client, method, request, metadata = new grpc.Metadata(), options = {}) {
  return new Promise((resolve) => {
    const seen = {};
    const call = client[method](request, metadata, options, (error, response) => {
      Object.assign(seen, { error, response });
    });
    call.on("metadata", (initial) => { seen.initial = initial; });
    call.on("status", (status) => { resolve({ ...seen, trailing: status.metadata, status }); });
  });
}

/** All responses of a call, and its status. `act(call)` begins; `each(call, count)` after a response. */
function stream(call, act = () => {}, each = () => {}) {
  return new Promise((resolve) => {
    const sizes = [];
    let initial;
    call.on("metadata", (metadata) => { initial = metadata; });
    call.on("data", (response) => {
      sizes.push(response.payload.body.length);
      each(call, sizes.length);
    });
    call.on("error", () => {});
    call.on("status", (status) => resolve({ sizes, status, initial }));
    act(call);
  });
}

const sent = () => {
  const metadata = new grpc.Metadata();
  metadata.set(INITIAL, "test_initial_metadata_value");
  metadata.set(TRAILING, Buffer.from([0xab, 0xab, 0xab]));
  return metadata;
};

function expectEchoed(initial, trailing) {
  expect(initial?.get(INITIAL)[0] === "test_initial_metadata_value", "no initial metadata");
  expect(trailing?.get(TRAILING)[0]?.equals(Buffer.from([0xab, 0xab, 0xab])), "no trailing metadata");
}

const cases = {
  async empty_unary(client) {
    const { error } = await unary(client, "EmptyCall", {});
    expect(!error, error);
  },
  async large_unary(client) {
    const { error, response } = await unary(client, "UnaryCall", large());
    expect(!error && response.payload.body.length === 314159, error);
  },
  async server_compressed_unary(client) {
    const { error, response } = await unary(client, "UnaryCall",
      { ...large(), response_compressed: { value: true } });
    expect(!error && response.payload.body.length === 314159, error);
  },
  async client_streaming(client) {
    const [error, response] = await new Promise((resolve) => {
      const call = client.StreamingInputCall((...result) => resolve(result));
      for (const size of REQUESTS) call.write({ payload: payload(size) });
      call.end();
    });
    expect(!error && response.aggregated_payload_size === 74922, error ?? JSON.stringify(response));
  },
  async server_streaming(client) {
    const seen = await stream(client.StreamingOutputCall(
      { response_parameters: RESPONSES.map((size) => ({ size })) }));
    expect(seen.status.code === 0 && String(seen.sizes) === String(RESPONSES), JSON.stringify(seen));
  },
  async ping_pong(client) {
    const seen = await stream(client.FullDuplexCall(),
      (call) => call.write(output(RESPONSES[0], REQUESTS[0])),
      (call, count) => (count < 4 ? call.write(output(RESPONSES[count], REQUESTS[count])) : call.end()));
    expect(seen.status.code === 0 && String(seen.sizes) === String(RESPONSES), JSON.stringify(seen));
  },
  async empty_stream(client) {
    const seen = await stream(client.FullDuplexCall(), (call) => call.end());
    expect(seen.status.code === 0 && seen.sizes.length === 0, JSON.stringify(seen));
  },
  async custom_metadata(client) {
    const once = await unary(client, "UnaryCall", large(), sent());
    expectEchoed(once.initial, once.trailing);
    const many = await stream(client.FullDuplexCall(sent()), (call) => {
      call.write(output(314159, 271828));
      call.end();
    });
    expectEchoed(many.initial, many.status.metadata);
  },
  async status_code_and_message(client) {
    const response_status = { code: 2, message: "test status message" };
    const { status } = await unary(client, "UnaryCall", { response_status });
    expect(status.code === 2 && status.details === response_status.message, JSON.stringify(status));
    const seen = await stream(client.FullDuplexCall(), (call) => {
      call.write({ response_status });
      call.end();
    });
    expect(seen.status.code === 2 && seen.status.details === response_status.message, JSON.stringify(seen));
  },
  async special_status_message(client) {
    const { status } = await unary(client, "UnaryCall", { response_status: { code: 2, message: SPECIAL } });
    expect(status.code === 2 && status.details === SPECIAL, JSON.stringify(status));
  },
  async unimplemented_method(client) {
    const { status } = await unary(client, "UnimplementedCall", {});
    expect(status.code === 12, JSON.stringify(status));
  },
  async unimplemented_service(client, other) {
    const { status } = await unary(other, "UnimplementedCall", {});
    expect(status.code === 12, JSON.stringify(status));
  },
  async cancel_after_begin(client) {
    const error = await new Promise((resolve) => {
      const call = client.StreamingInputCall((problem) => resolve(problem));
      call.cancel();
    });
    expect(error?.code === 1, error);
  },
  async cancel_after_first_response(client) {
    const seen = await stream(client.FullDuplexCall(), (call) => call.write(output(31415, 27182)),
      (call) => call.cancel());
    expect(seen.status.code === 1, JSON.stringify(seen));
  },
  async timeout_on_sleeping_server(client) {
    for (const [wait, interval] of [[1, 0], [300, 5_000_000]]) {
      const seen = await stream(client.FullDuplexCall({ deadline: Date.now() + wait }), (call) => call.write(
        { response_parameters: interval ? [{ size: 1, interval_us: interval }] : [], payload: payload(27182) }));
      expect(seen.status.code === 4, JSON.stringify(seen));
    }
  },
  async concurrent_large_unary(client) {
    const all = await Promise.all(Array.from({ length: 100 }, () => unary(client, "UnaryCall", large())));
    expect(all.every(({ response }) => response?.payload.body.length === 314159), "size");
  },
  async too_large(client) {
    const { status } = await unary(client, "UnaryCall", { payload: payload(5 * 1024 * 1024) });
    expect(status.code === 8, JSON.stringify(status));
  },
};

async function runClient(target, ca) {
  const credentials = grpc.credentials.createSsl(readFileSync(ca));
  const client = new testing.TestService(target, credentials);
  const other = new testing.UnimplementedService(target, credentials);
  const report = {};
  for (const [name, run] of Object.entries(cases)) {
    try {
      await run(client, other);
      report[name] = "";
    } catch (error) {
      report[name] = String(error);
    }
  }
  console.log(JSON.stringify(report));
  // grpc-js waits a minute for a call that it cancelled before it began, with gRPC's own servers too.
  process.exit(0);
}

// ---- server -------------------------------------------------------------------------------------

/** The metadata to be sent back: [initial, trailing]. */
function echoed(metadata) {
  const [initial, trailing] = [new grpc.Metadata(), new grpc.Metadata()];
  for (const value of metadata.get(INITIAL)) initial.add(INITIAL, value);
  for (const value of metadata.get(TRAILING)) trailing.add(TRAILING, value);
  return [initial, trailing];
}

const service = {
  EmptyCall: (call, answer) => answer(null, {}),
  UnaryCall(call, answer) {
    const [initial, trailing] = echoed(call.metadata);
    const { response_status: status, response_size: size } = call.request;
    if (status?.code) return answer({ code: status.code, details: status.message, metadata: trailing });
    call.sendMetadata(initial);
    answer(null, { payload: payload(size) }, trailing);
  },
  StreamingOutputCall(call) {
    for (const { size } of call.request.response_parameters) call.write({ payload: payload(size) });
    call.end();
  },
  StreamingInputCall(call, answer) {
    let size = 0;
    call.on("data", (request) => { size += request.payload.body.length; });
    call.on("end", () => answer(null, { aggregated_payload_size: size }));
  },
  FullDuplexCall(call) {
    const [initial, trailing] = echoed(call.metadata);
    call.sendMetadata(initial);
    call.on("data", ({ response_status: status, response_parameters }) => {
      if (status?.code) return call.emit("error", { code: status.code, details: status.message });
      for (const { size } of response_parameters) call.write({ payload: payload(size) });
    });
    call.on("end", () => call.end(trailing));
  },
};

function runServer(port, cert, key) {
  const pair = { cert_chain: readFileSync(cert), private_key: readFileSync(key) };
  const server = new grpc.Server();
  server.addService(testing.TestService.service, service);
  server.bindAsync(`[::]:${port}`, grpc.ServerCredentials.createSsl(null, [pair]), (error) => {
    if (error) throw error;
    console.log("listening");
  });
}

await { client: runClient, server: runServer }[role](...rest);
