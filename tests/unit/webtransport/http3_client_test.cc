#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/unit/http3/rig.h"
#include "webtransport/client.h"
#include "webtransport/error_code.h"
#include "webtransport/http3.h"
#include "webtransport/http3_sessions.h"

/// A client's sessions over HTTP/3 and servers that say anything (draft-ietf-webtrans-http3-16).

namespace tern::webtransport {
namespace {

using http3::ErrorCode;
using http3::testing::control;
using http3::testing::frame;
using http3::testing::headers;
using http3::testing::RawPeer;
using http3::testing::Rig;
using http3::testing::RigOptions;
using http3::testing::varint;
using namespace std::chrono_literals;

constexpr quic::StreamId kConnectStream = 0;  // the client's first bidirectional stream

using Opened = std::optional<Result<std::unique_ptr<Session>>>;

Task<void> open_at(http::Session& http3, Opened& opened) {
  Result<std::unique_ptr<http::ClientExchange>> exchange = http3.open();
  http::RequestHead request;
  request.authority = "server";
  request.path = "/wt";
  const ClientOptions options = ClientOptions().protocol("chat.v1");
  complete_request(request, options, kTokens[1]);
  opened.emplace(co_await open_session(std::move(*exchange), std::move(request), options));
}

class Http3Client : public ::testing::Test {
 public:
  explicit Http3Client(quic::TransportOptions transport = {}) {
    http3::SessionOptions options;
    enable_http3(options, settings_only_.host("nobody").runtime());
    options.make_router = [this](http3::Session& session) {
      return std::make_unique<Http3Sessions>(session, rig->runtime());
    };
    const auto nothing = [](http::Exchange&) -> Task<void> { co_return; };
    rig.emplace(nothing, RigOptions().transport(transport).client(std::move(options)));
    rig->serve_raw(server, told);
    rig->connect();
    scope_.emplace(rig->runtime().ready());
    settle();
  }

  void settle() { rig->world.run_for(200ms); }
  void announce(const std::vector<http3::Setting>& announced) {
    control_ = server->uni(control(http3::testing::settings(announced)));
    settle();
  }
  /// With nothing amiss, and flow control if `flow`.
  void announce_all(bool flow) {
    std::vector<http3::Setting> all = {{8, 1}, {0x33, 1}, {0x2c7cf000, 1}};
    if (flow) all.push_back({0x2b61, 1000});
    announce(all);
  }
  void say(std::string_view frames) {
    server->more(control_, frames);
    settle();
  }
  Opened& open() {
    opened_.emplace_back();
    scope_->spawn(open_at(*rig->session, opened_.back()));
    settle();
    return opened_.back();
  }
  Session& open_well() {
    const auto stream = static_cast<quic::StreamId>(4 * opened_.size());
    Opened& opened = open();
    server->more(stream, headers({{":status", "200"}}));
    settle();
    EXPECT_TRUE(opened && *opened);
    return ***opened;
  }
  void expect_unsupported(const Opened& opened) {
    ASSERT_TRUE(opened && !*opened);
    EXPECT_TRUE(opened->error().is(Code::unsupported)) << opened->error().to_string();
    const auto stream = static_cast<quic::StreamId>(4 * (opened_.size() - 1));
    EXPECT_TRUE(server->received[stream].empty()) << "there was no CONNECT";
    EXPECT_FALSE(rig->closed) << rig->closed->to_string();
  }

 private:
  sim::World settings_only_{1};

 public:
  std::optional<Rig> rig;
  std::optional<Error> told;
  RawPeer* server = nullptr;

 private:
  quic::StreamId control_ = -1;
  std::deque<Opened> opened_;
  std::optional<Scope> scope_;
};

TEST_F(Http3Client, AProtocolThatWasNotOfferedIsAnAlpnError) {
  announce_all(true);
  Opened& opened = open();
  ASSERT_FALSE(server->received[kConnectStream].empty());
  server->more(kConnectStream, headers({{":status", "200"}, {"wt-protocol", "\"other\""}}));
  settle();
  ASSERT_TRUE(opened && !*opened);
  EXPECT_TRUE(opened->error().is(Code::invalid)) << opened->error().to_string();
  EXPECT_EQ(server->resets[kConnectStream], http3_code::kAlpn);
  EXPECT_FALSE(rig->closed) << rig->closed->to_string();
}

TEST_F(Http3Client, EnabledIsAFlag) {
  announce({{8, 1}, {0x33, 1}, {0x2c7cf000, 2}});
  ASSERT_TRUE(rig->closed);
  EXPECT_EQ(static_cast<ErrorCode>(rig->closed->code), ErrorCode::settings_error);
}

TEST_F(Http3Client, AServerWithoutHttpDatagramsIsNotAsked) {
  announce({{8, 1}, {0x2c7cf000, 1}, {0x2b61, 1000}});
  expect_unsupported(open());
}

class WithoutQuicDatagrams : public Http3Client {
 public:
  WithoutQuicDatagrams() : Http3Client(without()) {}

 private:
  static quic::TransportOptions without() {
    quic::TransportOptions transport;
    transport.max_datagram_frame = 0;
    return transport;
  }
};

TEST_F(WithoutQuicDatagrams, AServerIsNotAsked) {
  announce_all(true);
  expect_unsupported(open());
}

TEST_F(Http3Client, WithoutFlowControlThereIsOneSession) {
  announce_all(false);
  Session& first = open_well();
  expect_unsupported(open());
  first.close();
  server->more(kConnectStream, "", true);
  settle();
  open();
  EXPECT_FALSE(server->received[4].empty()) << "the first one is over";
}

TEST_F(Http3Client, WithFlowControlThereAreSeveral) {
  announce_all(true);
  open_well();
  open_well();
}

TEST_F(Http3Client, GoawayAsksForTheEnd) {
  announce_all(true);
  Session& session = open_well();
  EXPECT_FALSE(session.draining());
  say(frame(http3::kFrameGoaway, varint(4)));
  EXPECT_TRUE(session.draining());
  EXPECT_FALSE(session.ended());
}

TEST_F(Http3Client, AServerWithoutSessionsMayBeToldWhyItIsLeft) {
  announce({{8, 1}, {0x33, 1}});
  expect_unsupported(open());
  close_unfit(*rig->session);
  settle();
  ASSERT_TRUE(told);
  EXPECT_EQ(told->code, http3_code::kRequirementsNotMet);
}

/// §3.2: what a server remembers to have promised in a session that 0-RTT begins with.
struct Promise {
  const char* name;
  std::vector<http3::Setting> settings;
  bool kept;
};
void PrintTo(const Promise& promise, std::ostream* out) { *out << promise.name; }

class Http3Promise : public Http3Client, public ::testing::WithParamInterface<Promise> {};

TEST_P(Http3Promise, IsKeptOrASettingsError) {
  const std::vector<http3::Setting> first = {{8, 1},        {0x33, 1},   {0x2c7cf000, 1},
                                             {0x2b61, 500}, {0x2b64, 5}, {0x2b65, 5}};
  announce(first);
  ASSERT_FALSE(rig->sessions.empty());
  const quic::Session remembered = rig->sessions.back();
  rig->session->close();
  settle();
  rig->closed.reset();
  ASSERT_NE(rig->connect(remembered, true), nullptr);
  settle();
  ASSERT_TRUE(rig->session->connection().handshake().early_data_accepted);
  announce(GetParam().settings);
  if (GetParam().kept) {
    EXPECT_FALSE(rig->closed) << rig->closed->to_string();
  } else {
    ASSERT_TRUE(rig->closed);
    EXPECT_EQ(static_cast<ErrorCode>(rig->closed->code), ErrorCode::settings_error);
  }
}

std::vector<http3::Setting> promised(std::uint64_t data, std::uint64_t uni, std::uint64_t bidi) {
  return {{8, 1}, {0x33, 1}, {0x2c7cf000, 1}, {0x2b61, data}, {0x2b64, uni}, {0x2b65, bidi}};
}
const Promise kPromises[] = {
    {"AsBefore", promised(500, 5, 5), true},
    {"More", promised(501, 6, 7), true},
    {"LessData", promised(499, 5, 5), false},
    {"FewerUnidirectional", promised(500, 4, 5), false},
    {"FewerBidirectional", promised(500, 5, 4), false},
    {"Nothing", {{8, 1}, {0x33, 1}, {0x2c7cf000, 1}}, false},
};
INSTANTIATE_TEST_SUITE_P(Draft, Http3Promise, ::testing::ValuesIn(kPromises),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace tern::webtransport
