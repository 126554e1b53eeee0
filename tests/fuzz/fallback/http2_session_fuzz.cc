// A whole HTTP/2 session, server or client, against a peer that says anything. It must answer,
// reset or close, never crash; when the connection is over nothing of it is left. However the
// peer's bytes are cut, on connections that live on the same requests or responses have been
// seen. Input:
//
//   byte 0  bit 0: a client of ours   bit 1: without preface and SETTINGS of the peer's before
//           bits 2-4: bytes a piece that the rest comes in, as a power of two; 0: whole
//   then    the peer's bytes

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "http/fallback/context.h"
#include "http/fallback/http2_code.h"
#include "tests/unit/fallback/hand_stream.h"
#include "tests/unit/http/fetch.h"
#include "transport/sim/world.h"

namespace {

constexpr std::size_t kMaxRequests = 8;

using namespace tern;
using namespace tern::fallback;
using namespace std::chrono_literals;
using tern::fallback::testing::HandStream;
using tern::fallback::testing::Wire;

/// What came of the peer's bytes.
struct Outcome {
  bool alive = false;     // when all of them had come
  bool resets = false;    // streams were given up: who was how far then is a matter of the pieces
  std::size_t begun = 0;  // requests that handlers got
  std::vector<std::string> seen;

  bool comparable() const { return alive && !resets && begun < kMaxRequests; }
};

void add(std::string& text, const http::Fields& fields) {
  for (const http::Field field : fields) {
    text.append(" ").append(field.name).append("=").append(field.value);
  }
}

/// Answers with what it got.
Task<void> echo(http::Exchange& exchange, Outcome& outcome) {
  ++outcome.begun;
  auto body = co_await exchange.read_all(100'000);
  if (!body) co_return;
  std::string text(exchange.method());
  text.append(" ").append(exchange.request().path);
  add(text, exchange.request().fields);
  text.append(" (").append(*body).append(")");
  add(text, exchange.trailers());
  outcome.seen.push_back(std::move(text));
  http::Fields none;
  co_await exchange.inform(http::Status::early_hints, none);
  http::Response response;
  response.field("x-path", "seen");
  co_await exchange.start(response);
  Bytes bytes = Bytes::copy(*body);
  co_await exchange.write(std::move(bytes));
  co_await exchange.finish(exchange.trailers());
}

/// `power`: of two, the bytes a piece has; 0: whole.
Outcome play(ByteView script, std::size_t power) {
  Outcome outcome;
  const std::uint8_t mode = script[0];
  const bool client = (mode & 1) != 0;
  sim::World world(1);
  Runtime& runtime = world.host("here").runtime();
  http::ServerHooks hooks;
  hooks.handler = [&outcome](http::Exchange& exchange) { return echo(exchange, outcome); };
  SessionOptions options;
  options.max_body = 50'000;
  options.max_requests = kMaxRequests;
  options.max_field_section = 4000;
  std::optional<Context> context(std::in_place, runtime, options, std::move(hooks));
  auto wire = std::make_shared<Wire>();
  auto stream = std::make_unique<HandStream>(wire);
  bool over = false;
  ClientHooks told;
  told.closed = [&over](const Error&) { over = true; };
  Session& session = client ? context->connect(std::move(stream), Protocol::http2, told)
                            : context->accept(std::move(stream), Protocol::http2);
  world.run_for(1ms);
  std::vector<std::shared_ptr<http::testing::Reply>> replies;
  if (client) {
    for (int i = 0; i < 3; ++i) {
      replies.push_back(http::testing::start(runtime, session, http::testing::post("/"),
                                             i == 0 ? std::string(70'000, 'x') : std::string()));
    }
    world.run_for(1ms);
  }
  std::string bytes;
  if ((mode & 2) == 0) {
    if (!client) bytes += kHttp2Preface;
    bytes += std::string("\0\0\0\4\0\0\0\0\0\0\0\0\4\1\0\0\0\0", 18);
  }
  bytes += as_text(script.subspan(1));
  const std::size_t piece = power == 0 ? bytes.size() : std::size_t{1} << power;
  for (std::size_t at = 0; at < bytes.size() && wire->sink != nullptr; at += piece) {
    std::string part = bytes.substr(at, piece);
    wire->sink->receive(*wire->stream,
                        MutableBytes(reinterpret_cast<std::uint8_t*>(part.data()), part.size()));
    world.run_for(1ms);
  }
  world.run_for(10ms);
  outcome.alive = wire->sink != nullptr;
  for (const auto& reply : replies) {
    std::string text = !reply->done ? "waits" : reply->error ? "failed" : "answered";
    if (reply->done && !reply->error) {
      text += ' ' + std::to_string(reply->status);
      add(text, reply->fields);
      text.append(" (").append(reply->body).append(")");
      add(text, reply->trailers);
    }
    outcome.seen.push_back(std::move(text));
  }
  std::sort(outcome.seen.begin(), outcome.seen.end());
  for (const char* name : {"http2.peer_resets", "http2.rejected", "http2.malformed"}) {
    outcome.resets = outcome.resets || runtime.counters().at(name).value() != 0;
  }
  if (wire->sink != nullptr) {
    // Half of the time the peer goes, half of the time its limits end it.
    if ((mode & 0x80) != 0) wire->sink->end_of_stream(*wire->stream);
    world.run_for(400s);
  }
  if (!wire->gone) {
    context->close_all();
    world.run_for(1s);
  }
  TERN_CHECK(wire->gone && context->sessions() == 0);
  TERN_CHECK(!client || over);
  context.reset();
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const Outcome whole = play({data, size}, 0);
  const std::size_t power = data[0] >> 2 & 7;
  if (power == 0) return 0;
  const Outcome split = play({data, size}, power);
  // Whether a broken rule ends the connection is a matter of the pieces, too: it may depend on what
  // has ended before, a stream or all there was to do before a GOAWAY (RFC 9113 §5.1, §6.8).
  if (split.comparable() && whole.comparable()) TERN_CHECK(split.seen == whole.seen);
  return 0;
}
