#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/router.h"
#include "tests/unit/http3/rig.h"
#include "webtransport/capsule_type.h"
#include "webtransport/error_code.h"
#include "webtransport/http3.h"
#include "webtransport/http3_flow.h"
#include "webtransport/http3_sessions.h"
#include "webtransport/server.h"

/// Sessions over HTTP/3 with clients that say anything: what the draft names comes back
/// (draft-ietf-webtrans-http3-16), nothing is left, and the connection lives where it may.

namespace tern::webtransport {
namespace {

using namespace std::chrono_literals;
using http3::ErrorCode;
using http3::testing::control;
using http3::testing::frame;
using http3::testing::headers;
using http3::testing::RawPeer;
using http3::testing::Rig;
using http3::testing::RigOptions;
using http3::testing::varint;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr quic::StreamId kConnect = 0;  // the client's first bidirectional stream

std::string capsule_with(std::uint64_t type, std::string_view payload) {
  return varint(type) + varint(payload.size()) + std::string(payload);
}
std::string body(std::string_view bytes) { return frame(http3::kFrameData, bytes); }
std::string close_payload(std::string_view reason) {
  return std::string("\0\0\0\7", 4).append(reason);
}
std::string close_session(std::string_view reason) {
  return body(capsule_with(capsule_type::kCloseSession, close_payload(reason)));
}
std::string connect(std::string path = "/wt", std::string origin = {}) {
  std::vector<std::pair<std::string, std::string>> lines = {{":method", "CONNECT"},
                                                            {":protocol", "webtransport"},
                                                            {":scheme", "https"},
                                                            {":authority", "server"},
                                                            {":path", std::move(path)}};
  if (!origin.empty()) lines.emplace_back("origin", std::move(origin));
  return headers(lines);
}
std::string stream_of(quic::StreamId session, std::string_view bytes, bool bidirectional) {
  return varint(bidirectional ? 0x41 : 0x54) + varint(static_cast<std::uint64_t>(session)) +
         std::string(bytes);
}

/// What the handlers saw.
struct Seen {
  std::size_t streams = 0;
  std::size_t datagrams = 0;
  std::vector<std::string> texts;
  std::vector<std::optional<ApplicationCode>> resets;
  std::vector<SessionClose> closes;
};

Task<void> hear(std::unique_ptr<Stream> stream, Seen& seen) {
  ++seen.streams;
  const Result<std::string> text = co_await stream->read_all();
  if (text) seen.texts.push_back(*text);
  if (!text) seen.resets.push_back(stream->reset_code());
}
Task<void> accept_unidirectional(Session& session, Scope& scope, Seen& seen) {
  while (auto stream = co_await session.accept_unidirectional()) {
    scope.spawn(hear(std::move(stream), seen));
  }
}
Task<void> accept_bidirectional(Session& session, Scope& scope, Seen& seen) {
  while (auto stream = co_await session.accept_bidirectional()) {
    scope.spawn(hear(std::move(stream), seen));
  }
}
Task<void> count_datagrams(Session& session, Seen& seen) {
  for (;;) {
    const std::optional<Bytes> datagram = co_await session.receive_datagram();
    if (!datagram) break;
    ++seen.datagrams;
  }
}
Task<void> attend(Session& session, Seen& seen) {
  Scope scope(session.runtime().ready());
  scope.spawn(accept_unidirectional(session, scope, seen));
  scope.spawn(accept_bidirectional(session, scope, seen));
  scope.spawn(count_datagrams(session, seen));
  co_await session.wait_until_ended();
  seen.closes.push_back(*session.closed());
}

class Http3Peer : public ::testing::Test {
 public:
  using Announced = std::vector<http3::Setting>;
  Http3Peer() : Http3Peer(Announced{{0x33, 1}, {0x2b603742, 1}}) {}
  explicit Http3Peer(const Announced& announced, quic::TransportOptions client = {}) {
    http::Router router;
    route(router, "/wt", [this](Session& session) { return attend(session, seen); });
    router.get("/", [](http::Exchange& exchange) -> Task<void> {
      co_await exchange.respond(http::Status::ok, "a page");
    });
    http3::SessionOptions options;
    enable_http3(options, settings_only_.runtime);
    options.make_router = [this](http3::Session& session) {
      return std::make_unique<Http3Sessions>(session, rig->server_host().runtime());
    };
    rig.emplace(std::move(router),
                RigOptions().server(std::move(options)).client_transport(std::move(client)));
    peer = rig->connect_raw();
    if (!announced.empty()) announce(announced);
    settle();
  }
  void announce(const Announced& announced) {
    peer->uni(control(http3::testing::settings(announced)));
  }

  void settle(Duration time = 200ms) { rig->world.run_for(time); }
  quic::StreamId open_session(std::string head = connect()) {
    const quic::StreamId id = peer->bidi(head);
    settle();
    return id;
  }
  /// Begins a CONNECT, so that there may be streams of it, and then opens so many.
  std::vector<quic::StreamId> early_streams(std::size_t wanted) {
    std::vector<quic::StreamId> all;
    EXPECT_EQ(peer->bidi(connect().substr(0, 5)), kConnect);
    while (all.size() < wanted && !rig->closed) {
      while (peer->connection().bidi_left() > 0) {
        all.push_back(peer->bidi(stream_of(kConnect, "early", true)));
      }
      settle(20ms);
    }
    return all;
  }
  /// The code that our reset of `stream`, or the end of it, has come with.
  std::uint64_t code_of(quic::StreamId stream) {
    const auto found = peer->codes.find(stream);
    if (found != peer->codes.end()) return found->second;
    const auto reset = peer->resets.find(stream);
    return reset == peer->resets.end() ? 0 : reset->second;
  }
  std::uint64_t count(std::string_view name) { return rig->server_count(name); }
  /// Every session is over, and the connection still answers.
  void expect_all_well(std::size_t sessions) {
    settle(10s);
    EXPECT_EQ(count("webtransport.opened"), sessions);
    EXPECT_EQ(count("webtransport.closed"), sessions);
    EXPECT_EQ(seen.closes.size(), sessions);
    ASSERT_FALSE(rig->closed) << rig->closed->to_string();
    const quic::StreamId page = peer->bidi(http3::testing::get_headers(), true);
    settle();
    EXPECT_THAT(peer->received[page], HasSubstr("a page"));
  }

  Seen seen;
  std::optional<Rig> rig;
  RawPeer* peer = nullptr;

 private:
  struct SettingsOnly {
    sim::World world{1};
    Runtime& runtime = world.host("nobody").runtime();
  } settings_only_;
};

// ---- what a client has to announce --------------------------------------------------------------

class EnabledTwice : public Http3Peer {
 public:
  EnabledTwice() : Http3Peer(Announced{{0x33, 1}, {0x2c7cf000, 2}}) {}
};
TEST_F(EnabledTwice, IsASettingsError) {
  ASSERT_TRUE(rig->closed);
  EXPECT_EQ(static_cast<ErrorCode>(rig->closed->code), ErrorCode::settings_error);
}

class NoHttpDatagrams : public Http3Peer {
 public:
  NoHttpDatagrams() : Http3Peer(Announced{{0x2c7cf000, 1}}) {}
};
TEST_F(NoHttpDatagrams, MakeEverySessionMalformed) {
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(code_of(open_session()), static_cast<std::uint64_t>(ErrorCode::message_error));
  }
  EXPECT_EQ(count("webtransport.refused"), 2u);
  expect_all_well(0);
}

class NoQuicDatagrams : public Http3Peer {
 public:
  NoQuicDatagrams() : Http3Peer(Announced{{0x33, 1}, {0x2c7cf000, 1}}, without()) {}

 private:
  static quic::TransportOptions without() {
    quic::TransportOptions transport;
    transport.max_datagram_frame = 0;
    return transport;
  }
};
TEST_F(NoQuicDatagrams, MakeEverySessionMalformed) {
  const quic::StreamId early = peer->uni(stream_of(kConnect, "early", false));
  EXPECT_EQ(code_of(open_session()), static_cast<std::uint64_t>(ErrorCode::message_error));
  EXPECT_EQ(code_of(early), http3_code::kSessionGone);
  expect_all_well(0);
}

class NoFlowControl : public Http3Peer, public ::testing::WithParamInterface<std::uint64_t> {
 public:
  NoFlowControl() : Http3Peer(Announced{{0x33, 1}, {GetParam(), 1}}) {}
};
class NoFlowControlYet : public NoFlowControl {};

TEST_P(NoFlowControl, LetsOneSessionBe) {
  open_session();
  const quic::StreamId second = open_session();
  EXPECT_EQ(code_of(second), static_cast<std::uint64_t>(ErrorCode::request_rejected));
  EXPECT_EQ(count("webtransport.opened"), 1u);
  EXPECT_THAT(seen.closes, IsEmpty()) << "the first one goes on";
  peer->more(kConnect, close_session("bye"), true);
  settle();
  const quic::StreamId third = open_session();
  EXPECT_EQ(count("webtransport.opened"), 2u);
  peer->more(third, close_session("bye"), true);
  expect_all_well(2);
}
TEST_P(NoFlowControlYet, LetsSessionsBe) {
  open_session();
  open_session();
  EXPECT_EQ(count("webtransport.opened"), 2u);
}
// The drafts that know flow control, and those before.
INSTANTIATE_TEST_SUITE_P(Drafts, NoFlowControl, ::testing::Values(0x14e9cd29, 0x2c7cf000));
INSTANTIATE_TEST_SUITE_P(Drafts, NoFlowControlYet, ::testing::Values(0x2b603742, 0xc671706a));

// ---- SETTINGS that come after their CONNECT -----------------------------------------------------

class LateSettings : public Http3Peer {
 public:
  LateSettings() : Http3Peer(Announced{}) {}
};

TEST_F(LateSettings, BeginTheSessionWhenTheyCome) {
  open_session();
  settle(2s);
  EXPECT_EQ(count("webtransport.opened"), 0u) << "whether there is flow control is not known yet";
  announce({{0x33, 1}, {0x2c7cf000, 1}});
  settle(10ms + 1ms);  // one way, not a look at the clock later
  EXPECT_EQ(count("webtransport.opened"), 1u);
  peer->more(kConnect, close_session("bye"), true);
  expect_all_well(1);
}

TEST_F(LateSettings, AreWaitedForSomeSecondsOnly) {
  open_session();
  settle(4500ms);
  EXPECT_FALSE(peer->finished[kConnect]);
  settle(1s);
  EXPECT_TRUE(peer->finished[kConnect]) << "the request was given up";
  announce({{0x33, 1}, {0x2c7cf000, 1}});
  expect_all_well(0);
}

TEST_F(LateSettings, MayNeverComeAsTheConnectionEnds) {
  open_session();
  peer->connection().close(0x100, "enough");
  settle(10s);
  EXPECT_TRUE(rig->closed);
  EXPECT_EQ(count("webtransport.opened"), 0u);
}

// ---- streams before their session ---------------------------------------------------------------

TEST_F(Http3Peer, OfHundredsOfEarlyStreamsAFewWait) {
  const std::vector<quic::StreamId> all = early_streams(500);
  ASSERT_FALSE(rig->closed) << rig->closed->to_string();
  settle(50ms);
  std::size_t rejected = 0;
  for (const quic::StreamId id : all) {
    rejected += code_of(id) == http3_code::kBufferedStreamRejected ? 1 : 0;
  }
  EXPECT_EQ(all.size() - rejected, Http3Sessions::kMaxEarlyStreams);
  peer->more(kConnect, connect().substr(5));
  settle();
  EXPECT_EQ(seen.streams, Http3Sessions::kMaxEarlyStreams);
  for (const quic::StreamId id : all) {
    if (code_of(id) == 0) peer->more(id, " bird", true);
  }
  settle();
  EXPECT_THAT(seen.texts, SizeIs(Http3Sessions::kMaxEarlyStreams));
  EXPECT_THAT(seen.texts, Each("early bird"));
  peer->more(kConnect, close_session("thanks"), true);
  expect_all_well(1);
}

TEST_F(Http3Peer, ThousandsOfEarlyStreamsAreExcessiveLoad) {
  const std::vector<quic::StreamId> all = early_streams(10'000);
  ASSERT_TRUE(rig->closed);
  EXPECT_EQ(static_cast<ErrorCode>(rig->closed->code), ErrorCode::excessive_load);
  EXPECT_LT(all.size(), 2000u);
  settle(10s);
  EXPECT_EQ(count("webtransport.opened"), 0u);
}

TEST_F(Http3Peer, EarlyStreamsWithoutASessionAreRefusedInTime) {
  std::vector<quic::StreamId> all;
  for (int i = 0; i < 10; ++i) all.push_back(peer->uni(stream_of(kConnect, "lost", false)));
  settle(4s);
  EXPECT_EQ(code_of(all.front()), 0u);
  settle(2s);
  for (const quic::StreamId id : all) {
    EXPECT_EQ(code_of(id), http3_code::kBufferedStreamRejected) << id;
  }
  expect_all_well(0);
}

TEST_F(Http3Peer, StreamsOfASessionThatWasRefusedAreTold) {
  const quic::StreamId early = peer->uni(stream_of(kConnect, "early", false));
  settle(20ms);
  open_session(connect("/wt", "https://foreign.example"));
  const quic::StreamId late = peer->uni(stream_of(kConnect, "late", false));
  settle();
  EXPECT_EQ(code_of(early), http3_code::kSessionGone);
  EXPECT_EQ(code_of(late), http3_code::kSessionGone);
  expect_all_well(0);
}

TEST_F(Http3Peer, StreamsOfAClosedSessionAreTold) {
  open_session();
  const quic::StreamId before = peer->bidi(stream_of(kConnect, "before", true));
  settle();
  peer->more(kConnect, close_session("bye"), true);
  settle();
  const quic::StreamId uni = peer->uni(stream_of(kConnect, "after", false));
  const quic::StreamId bidi = peer->bidi(stream_of(kConnect, "after", true));
  settle();
  for (const quic::StreamId id : {before, uni, bidi}) {
    EXPECT_EQ(code_of(id), http3_code::kSessionGone) << id;
  }
  EXPECT_EQ(seen.streams, 1u);
  expect_all_well(1);
  EXPECT_EQ(seen.closes[0].code, 7u);
  EXPECT_EQ(seen.closes[0].reason, "bye");
}

TEST_F(Http3Peer, AResetWithAForeignCodeHasNone) {
  open_session();
  const quic::StreamId known = peer->bidi(stream_of(kConnect, "x", true));
  const quic::StreamId foreign = peer->bidi(stream_of(kConnect, "x", true));
  settle();
  peer->connection().reset(known, to_http3(77));
  peer->connection().reset(foreign, 0x1234);
  settle();
  EXPECT_THAT(seen.resets, ElementsAre(std::optional<ApplicationCode>(77), std::nullopt));
  peer->more(kConnect, "", true);
  expect_all_well(1);
}

// ---- capsules -----------------------------------------------------------------------------------

struct CapsuleCase {
  const char* name;
  std::string bytes;  // of the CONNECT's body
  bool end = false;   // and it ends with them
};
void PrintTo(const CapsuleCase& test, std::ostream* out) { *out << test.name; }

class BadCapsule : public Http3Peer, public ::testing::WithParamInterface<CapsuleCase> {};

TEST_P(BadCapsule, EndsTheSessionWithAMessageError) {
  open_session();
  const quic::StreamId other = peer->bidi(stream_of(kConnect, "open", true));
  peer->more(kConnect, GetParam().bytes, GetParam().end);
  settle();
  EXPECT_EQ(code_of(kConnect), static_cast<std::uint64_t>(ErrorCode::message_error));
  EXPECT_EQ(code_of(other), http3_code::kSessionGone);
  expect_all_well(1);
}

const CapsuleCase kBadCapsules[] = {
    {"CloseReasonTooLong", close_session(std::string(1025, 'x'))},
    {"CloseReasonMuchTooLong", close_session(std::string(60'000, 'x'))},
    {"CloseReasonNoUtf8", close_session("\xff")},
    {"CloseReasonCutUtf8", close_session("\xe2\x82")},
    {"CloseWithoutACode", body(capsule_with(capsule_type::kCloseSession, ""))},
    {"CloseWithHalfACode", body(capsule_with(capsule_type::kCloseSession, "\1\2\3"))},
    {"SomethingAfterClose",
     close_session("bye") + body(capsule_with(capsule_type::kDrainSession, ""))},
    {"MaxStreamData", body(capsule_with(capsule_type::kMaxStreamData, varint(0) + varint(9)))},
    {"StreamDataBlocked",
     body(capsule_with(capsule_type::kStreamDataBlocked, varint(0) + varint(9)))},
    {"StreamInACapsule", body(capsule_with(capsule_type::kStream, varint(0) + "bytes"))},
    {"EndWithinACapsule", body(varint(capsule_type::kCloseSession) + varint(10) + "abc"), true},
    {"EndWithinACapsulesHead", body(varint(capsule_type::kCloseSession).substr(0, 1)), true},
};
INSTANTIATE_TEST_SUITE_P(Draft, BadCapsule, ::testing::ValuesIn(kBadCapsules),
                         [](const auto& test) { return std::string(test.param.name); });

// ---- flow control of a session (§5) -------------------------------------------------------------

class FlowPeer : public Http3Peer {
 public:
  FlowPeer()
      : Http3Peer(Announced{{0x33, 1}, {0x2c7cf000, 1}, {0x2b61, 5000}, {0x2b64, 2}, {0x2b65, 2}}) {
  }
};
class BadLimit : public FlowPeer, public ::testing::WithParamInterface<CapsuleCase> {};

TEST_P(BadLimit, EndsTheSessionWithAFlowControlError) {
  open_session();
  peer->more(kConnect, GetParam().bytes);
  settle();
  EXPECT_EQ(code_of(kConnect), http3_code::kFlowControl);
  expect_all_well(1);
}

std::string limit(std::uint64_t type, std::uint64_t value) {
  return body(capsule_with(type, varint(value)));
}
const CapsuleCase kBadLimits[] = {
    {"DataAsBefore", limit(capsule_type::kMaxData, 5000)},
    {"LessData", limit(capsule_type::kMaxData, 4999)},
    {"DataThatShrinks", limit(capsule_type::kMaxData, 6000) + limit(capsule_type::kMaxData, 5500)},
    {"StreamsAsBefore", limit(capsule_type::kMaxStreamsBidirectional, 2)},
    {"FewerStreams", limit(capsule_type::kMaxStreamsUnidirectional, 1)},
    {"TooManyStreams", limit(capsule_type::kMaxStreamsBidirectional, (std::uint64_t{1} << 60) + 1)},
    {"BlockedByTooMany",
     limit(capsule_type::kStreamsBlockedUnidirectional, (std::uint64_t{1} << 60) + 1)},
};
INSTANTIATE_TEST_SUITE_P(Draft, BadLimit, ::testing::ValuesIn(kBadLimits),
                         [](const auto& test) { return std::string(test.param.name); });

TEST_F(FlowPeer, OneStreamTooManyEndsTheSession) {
  open_session();
  for (std::uint64_t i = 0; i < Http3Flow::kStreams; ++i) {
    peer->bidi(stream_of(kConnect, "open", true));
  }
  settle();
  EXPECT_EQ(seen.streams, Http3Flow::kStreams);
  EXPECT_EQ(code_of(kConnect), 0u);
  peer->bidi(stream_of(kConnect, "one more", true));
  settle();
  EXPECT_EQ(code_of(kConnect), http3_code::kFlowControl);
  expect_all_well(1);
}

TEST_F(FlowPeer, GoodLimitsAreTaken) {
  open_session();
  peer->more(kConnect, limit(capsule_type::kMaxData, 5001) +
                           limit(capsule_type::kMaxStreamsBidirectional, 3) +
                           limit(capsule_type::kMaxStreamsUnidirectional, 3) +
                           limit(capsule_type::kDataBlocked, kMaxVarint) +
                           limit(capsule_type::kStreamsBlockedBidirectional, 1) +
                           close_session("bye"));
  expect_all_well(1);
  EXPECT_EQ(seen.closes[0].reason, "bye");
}

TEST_F(Http3Peer, WithoutFlowControlItsCapsulesAreIgnored) {
  open_session();
  peer->more(kConnect, limit(capsule_type::kMaxData, 0) +
                           limit(capsule_type::kMaxStreamsBidirectional, 0) +
                           body(capsule_with(capsule_type::kMaxData, "")) + close_session("bye"));
  expect_all_well(1);
  EXPECT_EQ(seen.closes[0].reason, "bye");
}

TEST_F(Http3Peer, WhatIsNotUnderstoodIsSkipped) {
  open_session();
  peer->more(kConnect, body(capsule_with(0x1f * 5 + 0x17, "grease")) +
                           body(capsule_with(0x4242, std::string(100'000, 'x'))) +
                           body(capsule_with(capsule_type::kDrainSession, "")));
  settle();
  EXPECT_THAT(seen.closes, IsEmpty());
  peer->more(kConnect, close_session(std::string(1024, 'y')), true);
  expect_all_well(1);
  EXPECT_EQ(seen.closes[0].reason, std::string(1024, 'y'));
}

// ---- the CONNECT stream reset, in every state ---------------------------------------------------

struct ResetCase {
  const char* name;
  std::function<void(RawPeer&)> before;
  bool opens = true;
};
void PrintTo(const ResetCase& test, std::ostream* out) { *out << test.name; }

class ResetConnect : public Http3Peer, public ::testing::WithParamInterface<ResetCase> {};

TEST_P(ResetConnect, LeavesNothing) {
  GetParam().before(*peer);
  peer->connection().reset(kConnect, static_cast<std::uint64_t>(ErrorCode::request_cancelled));
  peer->connection().stop_sending(kConnect,
                                  static_cast<std::uint64_t>(ErrorCode::request_cancelled));
  settle(10s);
  // Whether the handler began before the reset came is the network's affair.
  EXPECT_EQ(count("webtransport.opened"), count("webtransport.closed"));
  const quic::StreamId late = peer->uni(stream_of(kConnect, "late", false));
  settle(6s);
  EXPECT_NE(code_of(late), 0u);
  expect_all_well(seen.closes.size());
  // And the connection takes another session.
  peer->bidi(connect());
  settle();
  EXPECT_EQ(count("webtransport.opened"), count("webtransport.closed") + 1);
}

const ResetCase kResets[] = {
    {"AtOnce", [](RawPeer& peer) { peer.bidi(connect()); }},
    {"WithinTheHead", [](RawPeer& peer) { peer.bidi(connect().substr(0, 20)); }},
    {"WithDataThatCameBefore",
     [](RawPeer& peer) {
       peer.uni(stream_of(kConnect, "early", false));
       peer.bidi(connect());
     }},
    {"WithinACapsule",
     [](RawPeer& peer) {
       peer.bidi(connect() + body(varint(capsule_type::kCloseSession) + varint(10) + "abc"));
     }},
    {"WithinADataFrame", [](RawPeer& peer) { peer.bidi(connect() + varint(0) + varint(1000)); }},
    {"WithOpenStreams",
     [](RawPeer& peer) {
       peer.bidi(connect());
       for (int i = 0; i < 10; ++i) peer.bidi(stream_of(kConnect, "open", true));
       for (int i = 0; i < 10; ++i) peer.uni(stream_of(kConnect, "open", false));
     }},
    {"AfterItsClose", [](RawPeer& peer) { peer.bidi(connect() + close_session("bye")); }},
    {"AfterItsEnd", [](RawPeer& peer) { peer.bidi(connect() + close_session("bye"), true); }},
    {"AfterDrain",
     [](RawPeer& peer) {
       peer.bidi(connect() + body(capsule_with(capsule_type::kDrainSession, "")));
     }},
    {"WhenRefused", [](RawPeer& peer) { peer.bidi(connect("/wt", "https://foreign.example")); }},
};
INSTANTIATE_TEST_SUITE_P(States, ResetConnect, ::testing::ValuesIn(kResets),
                         [](const auto& test) { return std::string(test.param.name); });

TEST_F(Http3Peer, AResetAfterTheSessionHasBegunEndsItsStreams) {
  open_session();
  std::vector<quic::StreamId> open;
  for (int i = 0; i < 10; ++i) open.push_back(peer->bidi(stream_of(kConnect, "open", true)));
  settle();
  EXPECT_EQ(seen.streams, 10u);
  peer->connection().reset(kConnect, static_cast<std::uint64_t>(ErrorCode::request_cancelled));
  settle();
  for (const quic::StreamId id : open) EXPECT_EQ(code_of(id), http3_code::kSessionGone) << id;
  ASSERT_THAT(seen.closes, SizeIs(1));
  EXPECT_TRUE(seen.closes[0].error);
  expect_all_well(1);
}

// ---- datagrams ----------------------------------------------------------------------------------

// The client has closed the session, and not ended its stream: ours waits for that.
TEST_F(Http3Peer, TheConnectionMayGoWhileASessionEnds) {
  open_session();
  peer->more(kConnect, close_session("bye"));
  settle();
  EXPECT_EQ(count("webtransport.closed"), 0u) << "it is over already, and not what is tested";
  peer->connection().close(0x100, "enough");
  settle(10s);
  EXPECT_TRUE(rig->closed);
  EXPECT_EQ(count("webtransport.closed"), 1u);
  EXPECT_THAT(seen.closes, SizeIs(1));
}

TEST_F(Http3Peer, DatagramsOfNoSessionAreDropped) {
  const auto send = [&](std::uint64_t quarter) {
    EXPECT_TRUE(peer->connection().send_datagram(Bytes::take(varint(quarter) + "payload")));
  };
  for (const std::uint64_t quarter : {1u, 7u, 100u}) send(quarter);
  open_session();
  EXPECT_EQ(seen.datagrams, 0u);
  send(0);
  settle();
  EXPECT_EQ(seen.datagrams, 1u);
  peer->more(kConnect, close_session("bye"), true);
  settle();
  send(0);
  settle();
  EXPECT_EQ(seen.datagrams, 1u);
  expect_all_well(1);
}

TEST_F(Http3Peer, FewDatagramsWaitForTheirSession) {
  for (int round = 0; round < 10; ++round) {
    for (int i = 0; i < 100; ++i) {
      peer->connection().send_datagram(Bytes::take(varint(0) + "early"));
    }
    settle(50ms);
  }
  open_session();
  EXPECT_GT(seen.datagrams, 0u);
  EXPECT_LE(seen.datagrams, 128u);
  peer->more(kConnect, close_session("bye"), true);
  expect_all_well(1);
}

}  // namespace
}  // namespace tern::webtransport
