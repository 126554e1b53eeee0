// Frames no honest client sends: the server closes with the error code RFC 9000 §20.1 names, and
// other connections go on.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/quic/forger.h"

namespace tern::quic::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

constexpr std::uint64_t kInternalError = 0x01;
constexpr std::uint64_t kFlowControlError = 0x03;
constexpr std::uint64_t kStreamLimitError = 0x04;
constexpr std::uint64_t kStreamStateError = 0x05;
constexpr std::uint64_t kFinalSizeError = 0x06;
constexpr std::uint64_t kFrameEncodingError = 0x07;
constexpr std::uint64_t kConnectionIdLimitError = 0x09;
constexpr std::uint64_t kProtocolViolation = 0x0a;

const char* name_of(std::uint64_t code) {
  switch (code) {
    case kFlowControlError: return "FLOW_CONTROL_ERROR";
    case kStreamLimitError: return "STREAM_LIMIT_ERROR";
    case kStreamStateError: return "STREAM_STATE_ERROR";
    case kFinalSizeError: return "FINAL_SIZE_ERROR";
    case kFrameEncodingError: return "FRAME_ENCODING_ERROR";
    case kConnectionIdLimitError: return "CONNECTION_ID_LIMIT_ERROR";
    default: return "PROTOCOL_VIOLATION";
  }
}

struct Case {
  const char* name;
  std::vector<std::uint8_t> frames;
  std::uint64_t code;
};

class Misbehaviour : public ::testing::TestWithParam<Case> {};

TEST_P(Misbehaviour, ClosesWithTheRightCode) {
  Forger forger;
  // Another connection of the same server, to see that it is not hurt.
  Connection* other = forger.pair.connect();
  forger.pair.run();
  forger.send(GetParam().frames);
  const Error seen = forger.close_seen();
  EXPECT_EQ(seen.domain, Domain::quic) << seen.to_string();
  EXPECT_EQ(seen.code, GetParam().code) << seen.to_string();
  EXPECT_EQ(seen.origin, Origin::remote);
  EXPECT_EQ(forger.pair.server.count("quic.errors"), 1u);
  ASSERT_EQ(forger.pair.server.log.all.size(), 1u);
  // The rule is named to whoever reads the log, and to the peer.
  EXPECT_THAT(forger.pair.server.log.all[0],
              HasSubstr(std::string("closed with ") + name_of(GetParam().code) + ": "));
  EXPECT_THAT(seen.detail, HasSubstr("RFC 9000 section "));
  ASSERT_FALSE(other->closed());
  forger.pair.server.received.clear();
  const StreamId stream = *other->open_bidi();
  other->write(stream, Bytes::literal("unharmed"), true);
  forger.pair.run();
  EXPECT_EQ(forger.pair.server.received[stream], "unharmed");
}

INSTANTIATE_TEST_SUITE_P(
    Rfc9000, Misbehaviour,
    ::testing::Values(
        Case{"unknown_frame_type", Frame(0x40).bytes(1, 0x99), kFrameEncodingError},
        Case{"truncated_frame", Frame(0x06).bytes(1, 0x40), kFrameEncodingError},
        Case{"stream_limit", Frame(0x0a).number(4 * 100'000).number(0), kStreamLimitError},
        Case{"stream_of_ours_never_opened", Frame(0x0a).number(1).number(0), kStreamStateError},
        Case{"data_on_our_uni_stream", Frame(0x0a).number(3).number(0), kStreamStateError},
        Case{"stream_flow_control", Frame(0x0e).number(0).number(1 << 30).number(1).bytes(1, 'x'),
             kFlowControlError},
        Case{"final_size_below_what_was_sent",
             [] {
               std::vector<std::uint8_t> frames =
                   Frame(0x0e).number(0).number(0).number(10).bytes(10, 'x');
               const std::vector<std::uint8_t> reset = Frame(0x04).number(0).number(0).number(5);
               frames.insert(frames.end(), reset.begin(), reset.end());
               return frames;
             }(),
             kFinalSizeError},
        Case{"handshake_done_from_a_client", Frame(0x1e), kProtocolViolation},
        Case{"new_token_from_a_client", Frame(0x07).number(1).bytes(1, 'x'), kProtocolViolation},
        Case{"ack_of_a_packet_never_sent",
             Frame(0x02).number(1'000'000).number(0).number(0).number(0), kProtocolViolation},
        Case{"retire_of_a_connection_id_never_issued", Frame(0x19).number(9999),
             kProtocolViolation},
        Case{"stop_sending_on_a_stream_never_opened", Frame(0x05).number(1).number(0),
             kStreamStateError},
        Case{"max_streams_beyond_2_60", Frame(0x12).number((1ULL << 60) + 1), kFrameEncodingError},
        Case{"empty_packet", {}, kProtocolViolation}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(MisbehaviourTest, ReservedBitsAreAProtocolViolation) {
  Forger forger;
  forger.deliver(forger.protect(Frame(0x01), 0x58));
  forger.pair.run();
  EXPECT_EQ(forger.close_seen().code, kProtocolViolation) << forger.close_seen().to_string();
}

TEST(MisbehaviourTest, CryptoDataAfterTheHandshakeIsAnUnexpectedMessage) {
  Forger forger;
  // A TLS KeyUpdate, which QUIC forbids (RFC 9001 §6).
  std::vector<std::uint8_t> frames = Frame(0x06).number(0).number(5);
  const std::uint8_t key_update[] = {24, 0, 0, 1, 0};
  frames.insert(frames.end(), std::begin(key_update), std::end(key_update));
  forger.send(frames);
  EXPECT_EQ(forger.close_seen().domain, Domain::tls) << forger.close_seen().to_string();
  EXPECT_EQ(forger.close_seen().code, 10u);
}

TEST(MisbehaviourTest, ConnectionIdsBeyondOurLimitAreRefused) {
  Forger forger;
  std::vector<std::uint8_t> frames;
  for (std::uint8_t i = 0; i < 20; ++i) {
    const std::vector<std::uint8_t> one =
        Frame(0x18).number(100 + i).number(0).bytes(1, 8).bytes(8, i).bytes(16, i);
    frames.insert(frames.end(), one.begin(), one.end());
  }
  forger.send(frames);
  EXPECT_EQ(forger.close_seen().code, kConnectionIdLimitError) << forger.close_seen().to_string();
}

/// NEW_CONNECTION_ID with an ever growing retire_prior_to makes us owe RETIRE_CONNECTION_ID frames
/// that are never acknowledged: the debt is bounded.
TEST(MisbehaviourTest, RetiringOurConnectionIdsForEverEndsTheConnection) {
  Forger forger;
  for (std::uint64_t sequence = 100; sequence < 2'000 && forger.pair.client.closed.empty();
       sequence += 1) {
    std::vector<std::uint8_t> frame = Frame(0x18)
                                          .number(sequence)
                                          .number(sequence)
                                          .bytes(1, 8)
                                          .bytes(4, static_cast<std::uint8_t>(sequence))
                                          .bytes(4, static_cast<std::uint8_t>(sequence >> 8))
                                          .bytes(16, static_cast<std::uint8_t>(sequence));
    forger.deliver(forger.protect(frame));
    forger.pair.server.drain();
  }
  forger.pair.run();
  // The close goes to a connection ID that the honest client knows nothing of.
  ASSERT_EQ(forger.pair.server.closed.size(), 1u);
  const Error& why = forger.pair.server.closed[0];
  EXPECT_EQ(why.domain, Domain::quic) << why.to_string();
  EXPECT_EQ(why.code, kConnectionIdLimitError) << why.to_string();
  EXPECT_EQ(why.origin, Origin::local);
  EXPECT_EQ(forger.pair.server.count("quic.errors"), 1u);
  EXPECT_EQ(forger.pair.server.endpoint->connections(), 0u);
}

/// Packets that bring nothing (RFC 9000 §21.9), each answered by us if only with an
/// acknowledgement.
class Flood : public ::testing::TestWithParam<Case> {};

TEST_P(Flood, IsAnsweredWithinBoundsAndThenEndsTheConnection) {
  Forger forger;
  Connection* other = forger.pair.connect();
  forger.pair.run();
  const std::size_t before = forger.pair.bytes_to_client;
  std::size_t sent = 0;
  for (int i = 0; i < 5'000; ++i) {
    auto packet = forger.protect(GetParam().frames);
    sent += packet.size();
    forger.deliver(std::move(packet));
    forger.pair.server.drain();
    if (i % 20 == 0) forger.pair.run(1ms);
    if (i < 1'000) {
      ASSERT_FALSE(forger.pair.server.saw(Event::Type::closed)) << "after " << i;
    }
  }
  forger.pair.run();
  EXPECT_EQ(forger.close_seen().domain, Domain::quic) << forger.close_seen().to_string();
  EXPECT_EQ(forger.close_seen().code, GetParam().code) << forger.close_seen().to_string();
  EXPECT_EQ(forger.pair.server.count("quic.limit.non_productive"), 1u);
  EXPECT_EQ(forger.pair.server.count("quic.errors"), 1u);
  EXPECT_EQ(forger.pair.server.log.all.size(), 1u);
  // What leaves is bounded by the packets that came, not by the frames in them.
  EXPECT_LT(forger.pair.bytes_to_client - before, sent / 2);
  EXPECT_FALSE(other->closed());
  EXPECT_EQ(forger.pair.server.endpoint->connections(), 1u);
}

/// As many of a frame as one packet holds.
std::vector<std::uint8_t> many(const std::vector<std::uint8_t>& frame) {
  std::vector<std::uint8_t> frames;
  while (frames.size() + frame.size() <= 1'100) {
    frames.insert(frames.end(), frame.begin(), frame.end());
  }
  return frames;
}

INSTANTIATE_TEST_SUITE_P(
    Rfc9000, Flood,
    ::testing::Values(Case{"pings", many(Frame(0x01)), kProtocolViolation},
                      Case{"padded_pings", many(Frame(0x01).bytes(30, 0)), kProtocolViolation},
                      Case{"pings_behind_an_ack",
                           many(Frame(0x02).number(0).number(0).number(0).number(0).bytes(1, 1)),
                           kProtocolViolation},
                      Case{"path_challenges", many(Frame(0x1a).bytes(8, 7)), kProtocolViolation},
                      Case{"path_responses", many(Frame(0x1b).bytes(8, 7)), kProtocolViolation},
                      Case{"max_data", many(Frame(0x10).number(1 << 20)), kProtocolViolation},
                      Case{"max_streams", many(Frame(0x12).number(10)), kProtocolViolation},
                      Case{"streams_blocked", many(Frame(0x16).number(10)), kProtocolViolation}),
    [](const auto& test) { return std::string(test.param.name); });

/// Every other byte of many streams, within all windows: for each byte that came ngtcp2 notes a gap
/// (RFC 9000 §21.7).
TEST(MisbehaviourTest, StreamsFullOfGapsEndTheConnection) {
  constexpr std::uint64_t kGapsOfAStream = 2'000;  // ngtcp2 takes 5,000
  Forger forger;
  Connection* other = forger.pair.connect();
  forger.pair.run();
  std::size_t gaps = 0;
  std::vector<std::uint8_t> frames;
  for (std::uint64_t stream = 0; stream < 4 * 128; stream += 4) {
    for (std::uint64_t i = 0; i < kGapsOfAStream && forger.pair.server.closed.empty(); ++i) {
      const std::vector<std::uint8_t> one =
          Frame(0x0e).number(stream).number(2 * i + 1).number(1).bytes(1, 'x');
      frames.insert(frames.end(), one.begin(), one.end());
      ++gaps;
      if (frames.size() + one.size() <= 1'100) continue;
      forger.deliver(forger.protect(std::exchange(frames, {})));
      forger.pair.server.drain();
    }
  }
  EXPECT_LT(gaps, 100'000u);
  ASSERT_EQ(forger.pair.server.closed.size(), 1u);
  const Error& why = forger.pair.server.closed[0];
  EXPECT_EQ(why.domain, Domain::quic) << why.to_string();
  EXPECT_EQ(why.code, kInternalError) << why.to_string();
  EXPECT_EQ(why.origin, Origin::local);
  EXPECT_EQ(forger.pair.server.count("quic.limit.fragments"), 1u);
  EXPECT_EQ(forger.pair.server.count("quic.errors"), 1u);
  EXPECT_FALSE(other->closed());
  EXPECT_EQ(forger.pair.server.endpoint->connections(), 1u);
}

TEST(MisbehaviourTest, CopiesThatAnObserverSendsEndNothing) {
  Forger forger;
  const auto ping = forger.protect(Frame(0x01));
  const auto other = forger.protect(Frame(0x01));
  for (int i = 0; i < 5'000; ++i) {
    forger.deliver(i % 2 == 0 ? ping : other);
    forger.pair.server.drain();
  }
  forger.pair.run();
  EXPECT_EQ(forger.pair.server.endpoint->connections(), 1u);
  EXPECT_EQ(forger.pair.server.count("quic.limit.non_productive"), 0u);
}

TEST(MisbehaviourTest, KeepAliveAndMtuProbesAreNoFlood) {
  EndpointOptions eager = Pair::default_server();
  eager.transport.keep_alive = 20ms;
  eager.transport.max_udp_payload = 9'000;
  Pair pair(eager);
  auto options = pair.connect_options();
  options.transport = eager.transport;
  Connection* client = pair.connect(options);
  for (int i = 0; i < 60; ++i) pair.run(1s);
  EXPECT_FALSE(client->closed());
  EXPECT_GT(client->stats().packets_sent, 1'500u) << "it does keep alive";
  EXPECT_EQ(pair.server.endpoint->connections(), 1u);
}

}  // namespace
}  // namespace tern::quic::testing
