#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <utility>

#include "grpc/testing/test.tern.h"
#include "rpc/codec.h"
#include "rpc/envelope.h"
#include "rpc/wire.h"
#include "tests/unit/http/recording_carrier.h"

/// A wire whose responses the test writes.

namespace tern::rpc::test {

/// One attempt as the wire saw it.
struct Sent {
  http::test::RecordingCarrier carrier;
  http::ClientExchange* exchange = nullptr;

  void head(int status, const http::Fields& fields) {
    exchange->on_response(static_cast<http::Status>(status), fields);
  }
  void body(std::string_view bytes) { exchange->incoming().push(Bytes::copy(bytes)); }
  void end() { exchange->incoming().finish(); }
  void end(const http::Fields& trailers) {
    exchange->incoming().set_trailers(trailers);
    end();
  }
  void reset(std::uint64_t code) {
    const Error error(Domain::application, code, "reset by the peer", Origin::remote);
    exchange->incoming().fail(error);
    exchange->outgoing().fail(error);
  }
};

/// A wire that keeps what is sent, or fails to connect.
class TestWire final : public Wire {
 public:
  explicit TestWire(http::test::World& world) : world_(world) {}
  Runtime& runtime() noexcept override { return world_.runtime; }
  std::string_view scheme() const noexcept override { return "https"; }
  std::string_view authority() const noexcept override { return "server"; }
  Task<tern::Result<std::unique_ptr<WireStream>>> open(http::RequestHead head) override {
    ++opened;
    if (refusals > 0) {
      --refusals;
      co_return tern::fail(Error::os(111, "connect"));
    }
    Sent& sent = all.emplace_back();
    auto stream = std::make_unique<Stream>(world_.runtime, sent);
    sent.exchange = &stream->exchange();
    co_await stream->exchange().send(head, false);
    if (answer) answer(sent, all.size());
    co_return stream;
  }

  std::deque<Sent> all;
  std::size_t opened = 0;
  std::size_t refusals = 0;
  /// Called with each attempt and its number.
  std::function<void(Sent&, std::size_t)> answer;

 private:
  class Stream final : public WireStream {
   public:
    Stream(Runtime& runtime, Sent& sent) : exchange_(runtime, sent.carrier) {}
    http::ClientExchange& exchange() noexcept override { return exchange_; }

   private:
    http::ClientExchange exchange_;
  };

  http::test::World& world_;
};

inline http::Fields fields(std::initializer_list<http::Field> lines) {
  http::Fields made;
  for (const http::Field& line : lines) made.add(line.name, line.value);
  return made;
}
inline const http::Field kGrpc{"content-type", "application/grpc"};

inline std::string message(int body_size = 3) {
  grpc::testing::SimpleResponse response;
  response.mutable_payload()->set_body(std::string(static_cast<std::size_t>(body_size), 'x'));
  return std::string(encode_envelope(Codec::proto, response, SIZE_MAX)->text());
}

inline void answer_well(Sent& sent) {
  sent.head(200, fields({kGrpc, {"x-first", "1"}}));
  sent.body(message());
  sent.end(fields({{"grpc-status", "0"}, {"x-last", "2"}}));
}

}  // namespace tern::rpc::test
