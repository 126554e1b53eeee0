// When a client sends a request again (RetryPolicy): the rule by itself, and against servers on TCP
// that refuse, leave and break off by the book. tests/sim/requests_test.cc has the rest of it.

#include "gateway/repetition.h"

#include <chrono>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "gateway/client.h"
#include "tests/unit/fallback/http2_frames.h"
#include "transport/sim/world.h"

namespace tern {
namespace {

using namespace std::chrono_literals;
using fallback::Http2Code;

// ---- the rule -----------------------------------------------------------------------------------

RequestFailure refused(bool connection_over) {
  RequestFailure failure;
  failure.refused = true;
  failure.connection_over = connection_over;
  return failure;
}

TEST(Repetition, MovesAreFreeUntilTheirLimit) {
  const RetryPolicy policy;
  for (std::size_t tries = 1; tries < Client::kMaxSends; ++tries) {
    EXPECT_EQ(repetition(policy, refused(true), tries), Repetition::moves) << tries;
  }
  EXPECT_EQ(repetition(policy, refused(true), Client::kMaxSends), Repetition::none);
  EXPECT_EQ(repetition(RetryPolicy().tries(1), refused(true), 1), Repetition::none);
}

TEST(Repetition, WhatOnlyWaitedMovesOn) {
  RequestFailure failure = refused(true);
  failure.waited = true;
  EXPECT_EQ(repetition(RetryPolicy(), failure, 10 * Client::kMaxSends), Repetition::moves);
  EXPECT_EQ(repetition(RetryPolicy().tries(1), failure, 1), Repetition::none);
}

TEST(Repetition, WhatIsRefusedAloneIsPaidFor) {
  const RetryPolicy policy;
  EXPECT_EQ(repetition(policy, refused(false), 1), Repetition::at_once);
  EXPECT_EQ(repetition(policy, refused(false), 3), Repetition::at_once);
  EXPECT_EQ(repetition(policy, refused(false), 4), Repetition::none);
}

TEST(Repetition, AMethodThatIsNotIdempotentGoesAgainOnlyIfItWasNotProcessed) {
  RetryPolicy all;
  all.on_close(true).on_transient(true);
  RequestFailure failure;
  failure.lost = failure.broke = failure.connection_over = true;
  EXPECT_EQ(repetition(all, failure, 1), Repetition::none);
  failure.idempotent = true;
  EXPECT_EQ(repetition(all, failure, 1), Repetition::at_once);
  RequestFailure unsent;
  unsent.unsent = true;
  EXPECT_EQ(repetition(all, unsent, 1), Repetition::later);
  EXPECT_EQ(repetition(RetryPolicy(), unsent, 1), Repetition::none);
}

TEST(Repetition, ABrokenConnectionIsThePolicysMatter) {
  RequestFailure failure;
  failure.idempotent = failure.broke = true;
  EXPECT_EQ(repetition(RetryPolicy(), failure, 1), Repetition::none);
  EXPECT_EQ(repetition(RetryPolicy().on_close(true), failure, 1), Repetition::at_once);
  EXPECT_EQ(repetition(RetryPolicy().on_close(true), failure, 2), Repetition::none);
  EXPECT_EQ(repetition(RetryPolicy().on_transient(true), failure, 3), Repetition::at_once);
  failure.lost = true;
  EXPECT_EQ(repetition(RetryPolicy(), failure, 3), Repetition::at_once);
}

// ---- servers that do as they are told -----------------------------------------------------------

enum class Deed {
  answer,
  refuse,          ///< REFUSED_STREAM
  leave,           ///< GOAWAY: neither this request nor a later one
  answer_leaving,  ///< it is the connection's last one
  close,           ///< FIN, without a word
};

/// One server in clear text, HTTP/2 or HTTP/1.1, and what it does with each request that comes,
/// whatever the connection; when that is used up, it answers.
class HandServer final : public tcp::ListenSink {
 public:
  HandServer(udp::Network& network, bool http2, std::vector<Deed> deeds)
      : http2_(http2), deeds_(std::move(deeds)) {
    tcp::ListenOptions listen;
    listen.bind = udp::Address::v4(0, 80);
    listener_ = std::move(*network.tcp().listen(listen, *this));
  }

  std::size_t seen = 0;             ///< requests
  std::vector<std::string> bodies;  ///< theirs
  std::size_t connections() const { return all_.size(); }

 private:
  struct Connection final : tcp::StreamSink {
    Connection(HandServer& owner_in, std::unique_ptr<tcp::Stream> stream_in)
        : owner(owner_in), stream(std::move(stream_in)) {
      stream->attach(*this);
      if (owner.http2_) say(fallback::testing::settings());
    }
    void receive(tcp::Stream&, MutableBytes bytes) override {
      buffer.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
      owner.http2_ ? read_frames() : read_message();
    }
    void end_of_stream(tcp::Stream&) override { stream->finish(); }
    void failed(tcp::Stream&, const Error&) override { over = true; }
    void say(std::string_view text) {
      if (over) return;
      EXPECT_TRUE(stream->write(Bytes::copy(text)));
    }

    void read_frames() {
      if (!greeted) {
        if (buffer.size() < fallback::kHttp2Preface.size()) return;
        buffer.erase(0, fallback::kHttp2Preface.size());
        greeted = true;
      }
      while (buffer.size() >= 9) {
        const std::size_t size =
            9 + (static_cast<std::uint8_t>(buffer[1]) << 8 | static_cast<std::uint8_t>(buffer[2]));
        if (buffer.size() < size) return;
        const auto frame = fallback::testing::parse(buffer.substr(0, size)).front();
        buffer.erase(0, size);
        if (frame.type == fallback::kFrameHeaders) body.clear();
        if (frame.type == fallback::kFrameData) body += frame.payload;
        const bool message =
            frame.type == fallback::kFrameHeaders || frame.type == fallback::kFrameData;
        if (message && frame.end_stream()) owner.asked(*this, frame.stream, std::move(body));
      }
    }
    void read_message() {
      const std::size_t end = buffer.find("\r\n\r\n");
      if (end == std::string::npos) return;
      const std::size_t at = buffer.find("content-length: ");
      const std::size_t size = at == std::string::npos ? 0 : std::stoul(buffer.substr(at + 16));
      if (buffer.size() < end + 4 + size) return;
      std::string content = buffer.substr(end + 4, size);
      buffer.erase(0, end + 4 + size);
      owner.asked(*this, 0, std::move(content));
    }

    HandServer& owner;
    std::unique_ptr<tcp::Stream> stream;
    std::string buffer;
    std::string body;
    bool greeted = false;
    bool over = false;
  };

  void accepted(tcp::Listener&, std::unique_ptr<tcp::Stream> stream) override {
    all_.push_back(std::make_unique<Connection>(*this, std::move(stream)));
  }
  void asked(Connection& connection, std::uint32_t id, std::string body) {
    namespace by_hand = fallback::testing;
    const Deed deed = seen < deeds_.size() ? deeds_[seen] : Deed::answer;
    ++seen;
    bodies.push_back(std::move(body));
    switch (deed) {
      case Deed::answer_leaving:
        if (http2_) connection.say(by_hand::goaway(id, Http2Code::no_error));
        [[fallthrough]];
      case Deed::answer:
        connection.say(http2_ ? by_hand::headers(id, {{":status", "200"}})
                              : std::string("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n") +
                                    (deed == Deed::answer ? "" : "connection: close\r\n") + "\r\n");
        return;
      case Deed::refuse: return connection.say(by_hand::rst(id, Http2Code::refused_stream));
      case Deed::leave:
        return connection.say(by_hand::goaway(id < 2 ? 0 : id - 2, Http2Code::no_error));
      case Deed::close: return connection.stream->finish();
    }
  }

  const bool http2_;
  const std::vector<Deed> deeds_;
  std::unique_ptr<tcp::Listener> listener_;
  std::vector<std::unique_ptr<Connection>> all_;
};

struct Row {
  const char* name;
  ClientProtocols protocol;
  const char* method;
  const char* body;
  std::vector<Deed> deeds;
  RetryPolicy policy;
  std::size_t sent;  ///< times, of the one request that is looked at
  bool answered;
  std::uint64_t paid = 0;
  std::uint64_t moved = 0;
  std::uint64_t unpaid = 0;
  bool warm = false;  ///< the connection has served another request before
};
void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }

std::vector<Row> rows() {
  constexpr auto h2 = ClientProtocols::http2;
  constexpr auto h1 = ClientProtocols::http1;
  const RetryPolicy usual;
  const RetryPolicy broke = RetryPolicy().budget(0, 0);
  const RetryPolicy never = RetryPolicy().tries(1);
  const RetryPolicy on_close = RetryPolicy().on_close(true);
  const std::vector<Deed> refusals(20, Deed::refuse);
  const std::vector<Deed> leavings(20, Deed::leave);
  return {
      {"RefusedGet", h2, "GET", "", {Deed::refuse}, usual, 2, true, 1},
      {"RefusedPostWithItsBody", h2, "POST", "abc", {Deed::refuse}, usual, 2, true, 1},
      {"RefusedForGood", h2, "GET", "", refusals, usual, 4, false, 3},
      {"RefusedWithoutBudget", h2, "GET", "", {Deed::refuse}, broke, 1, false, 0, 0, 1},
      {"RefusedAndNeverAgain", h2, "GET", "", {Deed::refuse}, never, 1, false},
      {"LeftGet", h2, "GET", "", {Deed::leave}, usual, 2, true, 0, 1},
      {"LeftPostWithItsBody", h2, "POST", "abc", {Deed::leave}, usual, 2, true, 0, 1},
      {"LeftForGood", h2, "PUT", "abc", leavings, usual, Client::kMaxSends, false, 0, 9},
      {"LeftWithoutBudget", h2, "POST", "abc", {Deed::leave, Deed::leave}, broke, 3, true, 0, 2},
      {"LeftAndNeverAgain", h2, "GET", "", {Deed::leave}, never, 1, false},
      {"LeftThenRefused", h2, "GET", "", {Deed::leave, Deed::refuse}, usual, 3, true, 1, 1},
      {"ClosedFirstRequest", h2, "GET", "", {Deed::close}, usual, 1, false},
      {"ClosedOnClose", h2, "GET", "", {Deed::close}, on_close, 2, true, 1},
      {"ClosedOnCloseOnce", h2, "GET", "", {Deed::close, Deed::close}, on_close, 2, false, 1},
      {"ClosedPostOnClose", h2, "POST", "abc", {Deed::close}, on_close, 1, false},
      {"ClosedLaterRequest",
       h2,
       "GET",
       "",
       {Deed::answer, Deed::close},
       usual,
       2,
       true,
       1,
       0,
       0,
       true},
      {"ClosedLaterPut",
       h2,
       "PUT",
       "abc",
       {Deed::answer, Deed::close},
       usual,
       2,
       true,
       1,
       0,
       0,
       true},
      {"ClosedLaterPost",
       h2,
       "POST",
       "abc",
       {Deed::answer, Deed::close},
       usual,
       1,
       false,
       0,
       0,
       0,
       true},
      {"ClosedLaterWithoutBudget",
       h2,
       "GET",
       "",
       {Deed::answer, Deed::close},
       broke,
       1,
       false,
       0,
       0,
       1,
       true},
      {"Http1ClosedFirstRequest", h1, "GET", "", {Deed::close}, usual, 1, false},
      {"Http1ClosedOnClose", h1, "GET", "", {Deed::close}, on_close, 2, true, 1},
      {"Http1ClosedLaterGet",
       h1,
       "GET",
       "",
       {Deed::answer, Deed::close},
       usual,
       2,
       true,
       1,
       0,
       0,
       true},
      {"Http1ClosedLaterPut",
       h1,
       "PUT",
       "abc",
       {Deed::answer, Deed::close},
       usual,
       2,
       true,
       1,
       0,
       0,
       true},
      {"Http1ClosedLaterPost",
       h1,
       "POST",
       "abc",
       {Deed::answer, Deed::close},
       usual,
       1,
       false,
       0,
       0,
       0,
       true},
      {"Http1NextAfterTheLast",
       h1,
       "POST",
       "abc",
       {Deed::answer_leaving},
       usual,
       1,
       true,
       0,
       0,
       0,
       true},
  };
}

class Repeated : public testing::TestWithParam<Row> {};

TEST_P(Repeated, AsTheRuleSays) {
  const Row& row = GetParam();
  sim::World world(1);
  sim::Host& here = world.host("client");
  sim::Host& there = world.host("server");
  world.link(here, there, sim::LinkOptions().delay(5ms).mbps(50));
  HandServer server(there.network(), row.protocol == ClientProtocols::http2, row.deeds);
  {
    Client client(here.runtime(), here.network(),
                  ClientOptions().protocols(row.protocol).retry(row.policy));
    if (row.warm) {
      ASSERT_TRUE(here.runtime().block_on(client.get("http://server/first")));
    }
    const std::size_t before = server.seen;
    ClientRequest request("http://server/");
    request.method(row.method);
    if (*row.body != '\0') request.body(std::string(row.body));
    const Result<ClientResponse> response = here.runtime().block_on(client.send(request));
    EXPECT_EQ(response.has_value(), row.answered)
        << (response ? "it was answered" : response.error().to_string());
    EXPECT_EQ(server.seen - before, row.sent);
    for (std::size_t i = before; i < server.bodies.size(); ++i) {
      EXPECT_EQ(server.bodies[i], row.body) << "sending " << i - before;
    }
    const auto count = [&](std::string_view name) {
      return here.runtime().counters().at(name).value();
    };
    EXPECT_EQ(count("client.retries"), row.paid);
    EXPECT_EQ(count("client.moves"), row.moved);
    EXPECT_EQ(count("client.retries_unpaid"), row.unpaid);
  }
}

INSTANTIATE_TEST_SUITE_P(All, Repeated, testing::ValuesIn(rows()),
                         [](const auto& row) { return std::string(row.param.name); });

/// A connection takes three requests of fifty: all of them get through, unpaid.
TEST(Repeated, ABurstMovesFromConnectionToConnection) {
  sim::World world(1);
  sim::Host& here = world.host("client");
  sim::Host& there = world.host("server");
  world.link(here, there, sim::LinkOptions().delay(5ms).mbps(50));
  std::vector<Deed> deeds;
  for (int i = 0; i < 4; ++i) {
    deeds.insert(deeds.end(), {Deed::answer, Deed::answer, Deed::answer_leaving});
  }
  HandServer server(there.network(), true, deeds);
  {
    Client client(
        here.runtime(), here.network(),
        ClientOptions().protocols(ClientProtocols::http2).retry(RetryPolicy().budget(0, 0)));
    std::size_t answered = 0;
    Scope scope(here.runtime().ready());
    const auto get = [](Client& from, std::size_t& count) -> Task<void> {
      const Result<ClientResponse> response = co_await from.get("http://server/");
      EXPECT_TRUE(response) << response.error().to_string();
      ++count;
    };
    for (int i = 0; i < 50; ++i) scope.spawn(get(client, answered));
    ASSERT_TRUE(world.run_until([&] { return answered == 50; }));
    EXPECT_GE(server.connections(), 2u);
    EXPECT_EQ(here.runtime().counters().at("client.retries").value(), 0u);
  }
}

}  // namespace
}  // namespace tern
