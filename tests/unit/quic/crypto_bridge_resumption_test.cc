#include <memory>

#include <gmock/gmock.h>

#include "tests/unit/quic/bridge_pair.h"
#include "transport/quic/crypto_bridge.h"

namespace tern::quic::test {
namespace {

TEST_F(CryptoBridgeTest, ResumesWithATicket) {
  const Session session = first_visit();
  client_bridge_options_.session = &session;
  Pair pair = make_pair();
  pair.run();
  EXPECT_TRUE(pair.client->bridge().facts().resumed);
  EXPECT_TRUE(pair.server->bridge().facts().resumed);
  EXPECT_FALSE(pair.client->bridge().facts().early_data_accepted);
}

TEST_F(CryptoBridgeTest, ASessionIsForOneNameAndItsLifetime) {
  Session session = first_visit();
  client_bridge_options_.session = &session;
  client_now_ = session.expires;
  Pair late = make_pair();
  EXPECT_FALSE(late.client->bridge().offers_early_data());
  client_now_ = kNow;
  session.server_name = "localhost";
  Pair elsewhere = make_pair();
  elsewhere.run();
  EXPECT_TRUE(elsewhere.client->bridge().handshake_complete());
  EXPECT_FALSE(elsewhere.client->bridge().facts().resumed);
}

TEST_F(CryptoBridgeTest, ADamagedTicketMeansAFullHandshake) {
  Session session = first_visit();
  session.ticket.resize(session.ticket.size() / 2);
  client_bridge_options_.session = &session;
  Pair pair = make_pair();
  pair.run();
  EXPECT_TRUE(pair.client->bridge().handshake_complete());
  EXPECT_FALSE(pair.client->bridge().facts().resumed);
}

TEST_F(CryptoBridgeTest, TicketsOutliveRotationsUntilTheirKeyIsDropped) {
  const Session session = first_visit();
  client_bridge_options_.session = &session;
  for (std::size_t i = 1; i < tls::KeyRing::kMaxKeys; ++i) keys_->rotate(random_, kNow);
  Pair kept = make_pair();
  kept.run();
  EXPECT_TRUE(kept.client->bridge().facts().resumed);
  keys_->rotate(random_, kNow);
  Pair dropped = make_pair();
  dropped.run();
  EXPECT_TRUE(dropped.client->bridge().handshake_complete());
  EXPECT_FALSE(dropped.client->bridge().facts().resumed);
}

TEST_F(CryptoBridgeTest, TicketsOpenOnAnotherMachineWithTheSameKeys) {
  const Session session = first_visit();
  client_bridge_options_.session = &session;
  server_options_.ticket_keys(*tls::KeyRing::parse(keys_->serialize()));
  Pair pair = make_pair();
  pair.run();
  EXPECT_TRUE(pair.client->bridge().facts().resumed);
}

TEST_F(CryptoBridgeTest, TicketsAreBoundToTheQuicVersion) {
  Session session = first_visit();  // of version 1
  client_bridge_options_.session = &session;
  client_settings_.version = kVersion2;
  client_settings_.preferred = server_settings_.preferred = {kVersion2, kVersion1};
  Pair honest = make_pair();
  EXPECT_TRUE(honest.client->attached.error().is(Code::version));
  honest.run();
  EXPECT_TRUE(honest.client->bridge().handshake_complete());
  EXPECT_FALSE(honest.client->bridge().facts().resumed);

  session.quic_version = kVersion2;  // a client that breaks RFC 9369 §5
  Pair cheating = make_pair();
  EXPECT_TRUE(cheating.client->attached);
  cheating.run();
  EXPECT_TRUE(cheating.client->bridge().handshake_complete());
  EXPECT_FALSE(cheating.client->bridge().facts().resumed);
}

class EarlyData : public CryptoBridgeTest {
 protected:
  EarlyData() { server_options_.early_data(true); }

  /// The second visit, with a request in 0-RTT.
  Pair come_back(const Session& session) {
    client_bridge_options_.session = &session;
    client_bridge_options_.early_data = true;
    Pair pair = make_pair();
    EXPECT_TRUE(pair.client->attached);
    if (!pair.client->bridge().offers_early_data()) return pair;
    auto first = pair.client->write(++pair.now);
    pair.client->open_stream();
    pair.client->to_send = "early";
    auto more = pair.client->write(pair.now);
    first.insert(first.end(), more.begin(), more.end());
    for (const Octets& packet : first) {
      if (pair.server == nullptr) pair.server = pair.accept(packet);
      pair.server->read(packet, pair.now);
    }
    return pair;
  }
};

TEST_F(EarlyData, IsAccepted) {
  const Session session = first_visit();
  EXPECT_TRUE(session.early_data);
  Pair pair = come_back(session);
  EXPECT_EQ(pair.server->received, "early");
  EXPECT_TRUE(pair.server->received_early);
  pair.run();
  EXPECT_TRUE(pair.client->bridge().handshake_complete());
  EXPECT_TRUE(pair.server->bridge().handshake_complete());
  EXPECT_TRUE(pair.client->bridge().facts().early_data_accepted);
  EXPECT_TRUE(pair.server->bridge().facts().early_data_accepted);
  EXPECT_EQ(pair.client->rejections, 0);
}

TEST_F(EarlyData, SurvivesAFile) {
  const auto restored = Session::parse(first_visit().serialize());
  ASSERT_TRUE(restored);
  Pair pair = come_back(*restored);
  EXPECT_EQ(pair.server->received, "early");
}

void expect_rejection_and_retransmission(Pair& pair) {
  EXPECT_EQ(pair.server->received, "");
  pair.run();
  ASSERT_TRUE(pair.client->bridge().handshake_complete()) << pair.client->error;
  EXPECT_EQ(pair.client->rejections, 1);
  EXPECT_FALSE(pair.client->bridge().offers_early_data());
  EXPECT_TRUE(pair.client->bridge().facts().early_data_rejected);
  EXPECT_FALSE(pair.client->bridge().facts().early_data_accepted);
  pair.client->open_stream();
  pair.client->to_send = "early";
  pair.run();
  EXPECT_EQ(pair.server->received, "early");
  EXPECT_FALSE(pair.server->received_early);
}

TEST_F(EarlyData, IsRejectedByAServerThatHasTurnedItOff) {
  const Session session = first_visit();
  server_options_.early_data(false);
  Pair pair = come_back(session);
  expect_rejection_and_retransmission(pair);
  EXPECT_TRUE(pair.client->bridge().facts().resumed);
}

TEST_F(EarlyData, IsRejectedWhenTheTicketKeyIsGone) {
  const Session session = first_visit();
  server_options_.ticket_keys(std::make_shared<tls::KeyRing>(random_, kNow));
  Pair pair = come_back(session);
  expect_rejection_and_retransmission(pair);
  EXPECT_FALSE(pair.client->bridge().facts().resumed);
}

TEST_F(EarlyData, IsRejectedUnderOtherTransportParameters) {
  const Session session = first_visit();
  server_settings_.max_data = 1 << 18;
  Pair pair = come_back(session);
  expect_rejection_and_retransmission(pair);
  EXPECT_TRUE(pair.client->bridge().facts().resumed);
}

TEST_F(EarlyData, IsRejectedUnderOtherApplicationSettings) {
  const Session session = first_visit();
  early_data_context_.push_back(4);
  Pair pair = come_back(session);
  expect_rejection_and_retransmission(pair);
}

TEST_F(EarlyData, IsNotOfferedWithUnreadableTransportParameters) {
  Session session = first_visit();
  session.transport_params.pop_back();
  client_bridge_options_.session = &session;
  client_bridge_options_.early_data = true;
  Pair pair = make_pair();
  EXPECT_FALSE(pair.client->attached);
  EXPECT_FALSE(pair.client->bridge().offers_early_data());
  pair.run();
  EXPECT_TRUE(pair.client->bridge().handshake_complete());
}

}  // namespace
}  // namespace tern::quic::test
