// A whole HTTP/2 session, server or client, against a peer that says anything. It must answer,
// reset or close, never crash; when the connection is over nothing of it is left. Input:
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

using namespace tern;
using namespace tern::fallback;
using namespace std::chrono_literals;
using tern::fallback::testing::HandStream;
using tern::fallback::testing::Wire;

/// Answers with what it got.
Task<void> echo(http::Exchange& exchange) {
  auto body = co_await exchange.read_all(100'000);
  if (!body) co_return;
  http::Fields none;
  co_await exchange.inform(http::Status::early_hints, none);
  http::Response response;
  response.field("x-path", "seen");
  co_await exchange.start(response);
  Bytes bytes = Bytes::copy(*body);
  co_await exchange.write(std::move(bytes));
  co_await exchange.finish(exchange.trailers());
}

void play(ByteView script) {
  if (script.empty()) return;
  const std::uint8_t mode = script[0];
  const bool client = (mode & 1) != 0;
  sim::World world(1);
  Runtime& runtime = world.host("here").runtime();
  http::ServerHooks hooks;
  hooks.handler = echo;
  SessionOptions options;
  options.max_body = 50'000;
  options.max_requests = 8;
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
  if (client) {
    for (int i = 0; i < 3; ++i) {
      std::shared_ptr<http::ClientExchange> exchange = std::move(*session.open());
      auto reply = std::make_shared<http::testing::Reply>();
      runtime.spawn(http::testing::fetch(std::move(exchange), http::testing::post("/"),
                                         i == 0 ? std::string(70'000, 'x') : std::string(), {},
                                         reply));
    }
    world.run_for(1ms);
  }
  std::string bytes;
  if ((mode & 2) == 0) {
    if (!client) bytes += kHttp2Preface;
    bytes += std::string("\0\0\0\4\0\0\0\0\0\0\0\0\4\1\0\0\0\0", 18);
  }
  bytes += as_text(script.subspan(1));
  const std::size_t power = mode >> 2 & 7;
  const std::size_t piece = power == 0 ? bytes.size() : std::size_t{1} << power;
  for (std::size_t at = 0; at < bytes.size() && wire->sink != nullptr; at += piece) {
    std::string part = bytes.substr(at, piece);
    wire->sink->receive(*wire->stream,
                        MutableBytes(reinterpret_cast<std::uint8_t*>(part.data()), part.size()));
    world.run_for(1ms);
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
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  play({data, size});
  return 0;
}
