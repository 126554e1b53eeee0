#include "transport/quic/crypto_bridge.h"

#include <gmock/gmock.h>
#include <netinet/in.h>

#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "transport/tls/development.h"

namespace tern::quic {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Octets = std::vector<std::uint8_t>;

constexpr UnixSeconds kNow = 1'750'000'000;

/// One end: an ngtcp2_conn with a bridge and as little else as it takes.
class End {
 public:
  struct Settings {
    bool server = false;
    std::uint32_t version = kVersion1;                    // of the first flight
    std::vector<std::uint32_t> preferred{kVersion1, kVersion2};  // version negotiation
    std::uint64_t max_data = 1 << 20;
    Octets retry_scid;  // server after a Retry: what its transport parameters must repeat
  };

  End(std::unique_ptr<CryptoBridge> bridge, const Settings& settings, ByteView dcid, ByteView scid,
      Octets original_dcid = {})
      : bridge_(std::move(bridge)) {
    ngtcp2_callbacks callbacks{};
    CryptoBridge::install(callbacks);
    callbacks.rand = [](std::uint8_t* out, std::size_t size, const ngtcp2_rand_ctx*) {
      std::memset(out, 0x5c, size);
    };
    callbacks.get_new_connection_id = [](ngtcp2_conn*, ngtcp2_cid* cid, std::uint8_t* token,
                                         std::size_t length, void* user) {
      auto& end = *static_cast<End*>(user);
      std::memset(cid->data, ++end.cids_, length);
      cid->datalen = length;
      std::memset(token, end.cids_, NGTCP2_STATELESS_RESET_TOKENLEN);
      return 0;
    };
    callbacks.get_path_challenge_data = [](ngtcp2_conn*, std::uint8_t* data, void*) {
      std::memset(data, 7, NGTCP2_PATH_CHALLENGE_DATALEN);
      return 0;
    };
    callbacks.recv_stream_data = [](ngtcp2_conn*, std::uint32_t flags, std::int64_t, std::uint64_t,
                                    const std::uint8_t* data, std::size_t size, void* user, void*) {
      auto& end = *static_cast<End*>(user);
      end.received.append(reinterpret_cast<const char*>(data), size);
      if ((flags & NGTCP2_STREAM_DATA_FLAG_0RTT) != 0) end.received_early = true;
      return 0;
    };
    callbacks.tls_early_data_rejected = [](ngtcp2_conn*, void* user) {
      static_cast<End*>(user)->rejections++;
      return 0;
    };

    ngtcp2_settings options;
    ngtcp2_settings_default(&options);
    options.initial_ts = 1;
    options.preferred_versions = settings.preferred.data();
    options.preferred_versionslen = settings.preferred.size();
    options.available_versions = settings.preferred.data();
    options.available_versionslen = settings.preferred.size();
    options.no_pmtud = 1;
    ngtcp2_transport_params params;
    ngtcp2_transport_params_default(&params);
    params.initial_max_data = settings.max_data;
    params.initial_max_streams_bidi = 4;
    params.initial_max_stream_data_bidi_local = 1 << 16;
    params.initial_max_stream_data_bidi_remote = 1 << 16;
    ngtcp2_cid to, from;
    ngtcp2_cid_init(&to, dcid.data(), dcid.size());
    ngtcp2_cid_init(&from, scid.data(), scid.size());
    path_.local.addr = path_.remote.addr = reinterpret_cast<ngtcp2_sockaddr*>(&address_);
    path_.local.addrlen = path_.remote.addrlen = sizeof(address_);
    address_.sin_family = AF_INET;
    int result = 0;
    if (settings.server) {
      ngtcp2_cid_init(&params.original_dcid, original_dcid.data(), original_dcid.size());
      params.original_dcid_present = 1;
      if (!settings.retry_scid.empty()) {
        ngtcp2_cid_init(&params.retry_scid, settings.retry_scid.data(), settings.retry_scid.size());
        params.retry_scid_present = 1;
      }
      result = ngtcp2_conn_server_new(&conn_, &to, &from, &path_, settings.version, &callbacks,
                                      &options, &params, nullptr, this);
    } else {
      result = ngtcp2_conn_client_new(&conn_, &to, &from, &path_, settings.version, &callbacks,
                                      &options, &params, nullptr, this);
    }
    EXPECT_EQ(result, 0);
    attached = bridge_->attach(conn_);
  }
  ~End() { ngtcp2_conn_del(conn_); }
  End(const End&) = delete;
  End& operator=(const End&) = delete;

  CryptoBridge& bridge() { return *bridge_; }
  ngtcp2_conn* conn() { return conn_; }

  /// Everything it wants to send now; stream data too where that is open.
  std::vector<Octets> write(std::uint64_t now) {
    std::vector<Octets> datagrams;
    if (ngtcp2_conn_get_expiry(conn_) <= now) {
      EXPECT_EQ(ngtcp2_conn_handle_expiry(conn_, now), 0);
    }
    for (int i = 0; i < 50; ++i) {
      Octets packet(1452);
      ngtcp2_ssize taken = -1;
      ngtcp2_vec piece{reinterpret_cast<std::uint8_t*>(to_send.data()), to_send.size()};
      const bool streaming = stream_ >= 0 && !to_send.empty();
      const ngtcp2_ssize size = ngtcp2_conn_writev_stream(
          conn_, nullptr, nullptr, packet.data(), packet.size(), &taken,
          streaming ? NGTCP2_WRITE_STREAM_FLAG_NONE : 0, streaming ? stream_ : -1, &piece,
          streaming ? 1 : 0, now);
      if (size < 0) {
        error = static_cast<int>(size);
        break;
      }
      if (taken > 0) to_send.erase(0, static_cast<std::size_t>(taken));
      if (size == 0) break;
      packet.resize(static_cast<std::size_t>(size));
      datagrams.push_back(std::move(packet));
    }
    return datagrams;
  }
  void open_stream() { EXPECT_EQ(ngtcp2_conn_open_bidi_stream(conn_, &stream_, nullptr), 0); }
  void forget_stream() { stream_ = -1; }

  bool read(const Octets& packet, std::uint64_t now) {
    const ngtcp2_pkt_info info{};
    const int result = ngtcp2_conn_read_pkt(conn_, &path_, &info, packet.data(), packet.size(), now);
    if (result != 0) error = result;
    return result == 0;
  }

  std::string to_send;
  std::string received;
  bool received_early = false;
  int rejections = 0;
  int error = 0;
  Result<void> attached;

 private:
  std::unique_ptr<CryptoBridge> bridge_;
  ngtcp2_conn* conn_ = nullptr;
  ngtcp2_path path_{};
  sockaddr_in address_{};
  std::int64_t stream_ = -1;
  std::uint8_t cids_ = 0;
};

Octets cid_bytes(const ngtcp2_cid& cid) { return Octets(cid.data, cid.data + cid.datalen); }

/// Two ends and a wire without time or loss.
struct Pair {
  std::unique_ptr<End> client;
  std::unique_ptr<End> server;
  std::function<std::unique_ptr<End>(const Octets& first_packet)> accept;
  std::vector<Octets> client_sent;
  std::vector<Octets> server_sent;
  std::uint64_t now = 1;

  void run() {
    for (int round = 0; round < 20; ++round) {
      now += NGTCP2_MILLISECONDS;
      const auto up = client->write(now);
      for (const Octets& packet : up) {
        client_sent.push_back(packet);
        if (server == nullptr) server = accept(packet);
        if (server->error == 0) server->read(packet, now);
      }
      if (server->error != 0) return;
      const auto down = server->write(now);
      for (const Octets& packet : down) {
        server_sent.push_back(packet);
        if (client->error == 0) client->read(packet, now);
      }
      if (client->error != 0 || (up.empty() && down.empty())) return;
    }
  }
};

std::uint32_t version_of(const Octets& packet) {
  return static_cast<std::uint32_t>(packet[1]) << 24 | static_cast<std::uint32_t>(packet[2]) << 16 |
         static_cast<std::uint32_t>(packet[3]) << 8 | packet[4];
}

class CryptoBridgeTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    authority_ = *tls::make_authority(tls::DevelopmentOptions(kNow).days(365));
    leaf_ = *tls::make_leaf(authority_, tls::DevelopmentOptions(kNow).names({"example.org"}));
  }

  static tls::Certificate certificate() {
    return *tls::Certificate::parse(leaf_.certificate, leaf_.key);
  }
  tls::ServerContextOptions server_options() {
    return tls::ServerContextOptions().certificate(certificate()).ticket_keys(keys_);
  }
  static tls::ClientContextOptions client_options() {
    return tls::ClientContextOptions().ca_pem(authority_.certificate);
  }

  /// Builds both ends; the server's comes to be with the client's first packet.
  Pair make_pair() {
    Pair pair;
    auto client_context = tls::ClientContext::create(client_options_);
    EXPECT_TRUE(client_context) << client_context.error().detail;
    auto bridge = CryptoBridge::client(*client_context, client_now_, client_bridge_options_);
    EXPECT_TRUE(bridge) << bridge.error().detail;
    const Octets dcid(8, 0xd0), scid(8, 0xc0);
    pair.client = std::make_unique<End>(std::move(*bridge), client_settings_, dcid, scid);
    auto server_context = tls::ServerContext::create(server_options_);
    EXPECT_TRUE(server_context) << server_context.error().detail;
    server_context_ = *server_context;
    pair.accept = [this](const Octets& packet) {
      ngtcp2_pkt_hd header;
      EXPECT_EQ(ngtcp2_accept(&header, packet.data(), packet.size()), 0);
      auto server_bridge = CryptoBridge::server(server_context_, kNow, early_data_context_);
      EXPECT_TRUE(server_bridge);
      End::Settings settings = server_settings_;
      settings.server = true;
      settings.version = header.version;
      const Octets own_scid(8, 0x50);
      return std::make_unique<End>(std::move(*server_bridge), settings, cid_bytes(header.scid),
                                   own_scid, cid_bytes(header.dcid));
    };
    return pair;
  }

  /// A handshake, and the last session ticket the client got.
  Session first_visit() {
    Pair pair = make_pair();
    pair.run();
    EXPECT_TRUE(pair.client->bridge().handshake_complete());
    Session session;
    int count = 0;
    while (pair.client->bridge().take_session(session)) ++count;
    EXPECT_EQ(count, 2);
    EXPECT_EQ(session.server_name, "example.org");
    EXPECT_EQ(session.alpn, "h3");
    EXPECT_EQ(session.expires, kNow + 24 * 3600);
    return session;
  }

  Random random_{std::uint64_t{1}};
  std::shared_ptr<tls::KeyRing> keys_ = std::make_shared<tls::KeyRing>(random_, kNow);
  tls::ServerContextOptions server_options_ = server_options();
  tls::ClientContextOptions client_options_ = client_options();
  CryptoBridge::ClientOptions client_bridge_options_ = [] {
    CryptoBridge::ClientOptions options;
    options.server_name = "example.org";
    options.alpn = {"h3"};
    return options;
  }();
  End::Settings client_settings_, server_settings_;
  Octets early_data_context_{1, 2, 3};
  UnixSeconds client_now_ = kNow;
  std::shared_ptr<const tls::ServerContext> server_context_;

 private:
  static inline tls::Identity authority_, leaf_;
};

TEST_F(CryptoBridgeTest, HandshakesAndCarriesStreams) {
  Pair pair = make_pair();
  pair.run();
  ASSERT_TRUE(pair.client->bridge().handshake_complete()) << pair.client->error;
  ASSERT_TRUE(pair.server->bridge().handshake_complete()) << pair.server->error;
  const HandshakeFacts client = pair.client->bridge().facts();
  EXPECT_EQ(client.alpn, "h3");
  EXPECT_EQ(client.group, "X25519");
  EXPECT_THAT(std::string(client.cipher), ::testing::StartsWith("TLS_"));
  EXPECT_FALSE(client.resumed);
  EXPECT_THAT(std::string(client.peer_certificate_subject), HasSubstr("localhost"));
  const HandshakeFacts server = pair.server->bridge().facts();
  EXPECT_EQ(server.server_name, "example.org");
  EXPECT_EQ(server.alpn, "h3");
  EXPECT_EQ(server.cipher, client.cipher);

  pair.client->to_send = std::string(5000, 'x');
  pair.client->open_stream();
  pair.run();
  EXPECT_EQ(pair.server->received, std::string(5000, 'x'));
}

TEST_F(CryptoBridgeTest, KeysCanBeUpdated) {
  Pair pair = make_pair();
  pair.run();
  pair.client->open_stream();
  for (int i = 0; i < 4; ++i) {
    pair.now += 10 * NGTCP2_SECONDS;  // three PTOs between updates
    pair.run();                       // the delayed acknowledgement
    ASSERT_EQ(ngtcp2_conn_initiate_key_update(pair.client->conn(), pair.now), 0) << i;
    pair.client->to_send = "again ";
    pair.run();
  }
  EXPECT_EQ(pair.server->received, "again again again again ");
  EXPECT_EQ(pair.client->error, 0);
  EXPECT_EQ(pair.server->error, 0);
}

TEST_F(CryptoBridgeTest, Version2FromTheStart) {
  client_settings_.version = kVersion2;
  client_settings_.preferred = server_settings_.preferred = {kVersion2};
  Pair pair = make_pair();
  pair.run();
  EXPECT_TRUE(pair.client->bridge().handshake_complete());
  EXPECT_EQ(version_of(pair.client_sent.front()), kVersion2);
  EXPECT_EQ(version_of(pair.server_sent.front()), kVersion2);
}

TEST_F(CryptoBridgeTest, CompatibleVersionNegotiation) {
  client_settings_.preferred = {kVersion2, kVersion1};
  server_settings_.preferred = {kVersion2, kVersion1};
  Pair pair = make_pair();
  pair.run();
  ASSERT_TRUE(pair.client->bridge().handshake_complete());
  EXPECT_EQ(version_of(pair.client_sent.front()), kVersion1);
  EXPECT_EQ(version_of(pair.server_sent.front()), kVersion2);
  EXPECT_EQ(ngtcp2_conn_get_negotiated_version(pair.client->conn()), kVersion2);
  Session session;
  ASSERT_TRUE(pair.client->bridge().take_session(session));
  EXPECT_EQ(session.quic_version, kVersion2);
}

TEST_F(CryptoBridgeTest, FollowsARetry) {
  Pair pair = make_pair();
  const auto first = pair.client->write(++pair.now);
  ASSERT_EQ(first.size(), 1u);
  ngtcp2_pkt_hd header;
  ASSERT_EQ(ngtcp2_accept(&header, first[0].data(), first[0].size()), 0);
  const Octets retry_scid(8, 0x4e);
  const Octets original_dcid = cid_bytes(header.dcid);
  Octets retry(1200);
  const auto size = write_retry(retry, kVersion1, cid_bytes(header.scid), retry_scid, original_dcid,
                                as_bytes("token"));
  ASSERT_TRUE(size);
  retry.resize(*size);
  Octets forged = retry;
  forged.back() ^= 1;
  pair.client->read(forged, pair.now);
  EXPECT_FALSE(ngtcp2_conn_after_retry(pair.client->conn())) << "took a forged Retry";
  pair.client->error = 0;
  ASSERT_TRUE(pair.client->read(retry, pair.now));
  EXPECT_TRUE(ngtcp2_conn_after_retry(pair.client->conn()));

  pair.accept = [&](const Octets& packet) {
    ngtcp2_pkt_hd second;
    EXPECT_EQ(ngtcp2_accept(&second, packet.data(), packet.size()), 0);
    EXPECT_EQ(cid_bytes(second.dcid), retry_scid);
    EXPECT_EQ(std::string(second.token, second.token + second.tokenlen), "token");
    End::Settings settings;
    settings.server = true;
    settings.retry_scid = retry_scid;
    return std::make_unique<End>(std::move(*CryptoBridge::server(server_context_, kNow)), settings,
                                 cid_bytes(second.scid), retry_scid, original_dcid);
  };
  pair.run();
  EXPECT_TRUE(pair.client->bridge().handshake_complete()) << pair.client->error;
}

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

// ---- what goes wrong ----------------------------------------------------------------------------

TEST_F(CryptoBridgeTest, RefusesACertificateForAnotherName) {
  client_bridge_options_.server_name = "other.example";
  Pair pair = make_pair();
  pair.run();
  EXPECT_EQ(pair.client->error, NGTCP2_ERR_CRYPTO);
  const Error error = pair.client->bridge().failure();
  EXPECT_TRUE(error.is(Code::certificate)) << error.to_string();
  EXPECT_THAT(error.detail, HasSubstr("example.org"));
  EXPECT_NE(ngtcp2_conn_get_tls_alert(pair.client->conn()), 0);
}

TEST_F(CryptoBridgeTest, RefusesAnExpiredCertificate) {
  client_now_ = kNow + 14 * 24 * 3600;
  Pair pair = make_pair();
  pair.run();
  const Error error = pair.client->bridge().failure();
  EXPECT_TRUE(error.is(Code::certificate)) << error.to_string();
  EXPECT_THAT(error.detail, HasSubstr("expired"));
  EXPECT_EQ(pair.client->bridge().alert(), 45);  // certificate_expired
}

TEST_F(CryptoBridgeTest, RefusesAnUnknownAuthority) {
  const auto stranger = tls::make_authority(tls::DevelopmentOptions(kNow));
  client_options_ = tls::ClientContextOptions().ca_pem(stranger->certificate);
  Pair pair = make_pair();
  pair.run();
  EXPECT_TRUE(pair.client->bridge().failure().is(Code::certificate));
  EXPECT_EQ(pair.client->bridge().alert(), 48);  // unknown_ca
}

TEST_F(CryptoBridgeTest, InsecureTakesAnyCertificateButItsSessionsStayInsecure) {
  client_options_ = tls::ClientContextOptions().insecure(true);
  client_bridge_options_.server_name = "example.org";
  const Session session = first_visit();
  client_options_ = client_options();
  client_bridge_options_.session = &session;
  Pair pair = make_pair();
  pair.run();
  EXPECT_TRUE(pair.client->bridge().handshake_complete());
  EXPECT_FALSE(pair.client->bridge().facts().resumed);
}

TEST_F(CryptoBridgeTest, NoCommonAlpn) {
  client_bridge_options_.alpn = {"hq-interop"};
  Pair pair = make_pair();
  pair.run();
  EXPECT_EQ(pair.server->error, NGTCP2_ERR_CRYPTO);
  EXPECT_EQ(ngtcp2_conn_get_tls_alert(pair.server->conn()), 120);
  const Error error = pair.server->bridge().failure();
  EXPECT_EQ(error.domain, Domain::tls);
  EXPECT_EQ(error.code, 120u);
  EXPECT_THAT(error.detail, HasSubstr("no_application_protocol"));
}

TEST_F(CryptoBridgeTest, NoCommonGroup) {
  client_options_.groups("P-384");
  server_options_.groups("X25519");
  Pair pair = make_pair();
  pair.run();
  EXPECT_EQ(pair.server->bridge().alert(), 40);
}

TEST_F(CryptoBridgeTest, HelloRetryRequest) {
  client_options_.groups("X25519:P-256");
  server_options_.groups("P-256");
  Pair pair = make_pair();
  pair.run();
  EXPECT_TRUE(pair.client->bridge().handshake_complete());
  EXPECT_EQ(pair.client->bridge().facts().group, "P-256");
}

TEST_F(CryptoBridgeTest, PostQuantumGroup) {
  client_options_.groups("X25519Kyber768Draft00:X25519");
  server_options_.groups("X25519Kyber768Draft00:X25519");
  Pair pair = make_pair();
  pair.run();
  EXPECT_TRUE(pair.client->bridge().handshake_complete());
  EXPECT_THAT(std::string(pair.client->bridge().facts().group), HasSubstr("Kyber"));
}

class MutualTls : public CryptoBridgeTest {
 protected:
  void require(tls::ClientCertificate mode) {
    clients_ = *tls::make_authority(tls::DevelopmentOptions(kNow).days(30));
    server_options_.client_ca(clients_.certificate, mode);
  }
  void show(const tls::Identity& authority) {
    const auto leaf = tls::make_leaf(authority, tls::DevelopmentOptions(kNow));
    client_options_.certificate(*tls::Certificate::parse(leaf->certificate, leaf->key));
  }
  tls::Identity clients_;
};

TEST_F(MutualTls, AcceptsAClientOfTheAuthority) {
  require(tls::ClientCertificate::required);
  show(clients_);
  Pair pair = make_pair();
  pair.run();
  ASSERT_TRUE(pair.server->bridge().handshake_complete());
  EXPECT_THAT(std::string(pair.server->bridge().facts().peer_certificate_subject),
              HasSubstr("tern development"));
}

TEST_F(MutualTls, ResumptionKeepsTheIdentity) {
  require(tls::ClientCertificate::required);
  show(clients_);
  const Session session = first_visit();
  client_bridge_options_.session = &session;
  Pair pair = make_pair();
  pair.run();
  EXPECT_TRUE(pair.server->bridge().facts().resumed);
  EXPECT_NE(pair.server->bridge().facts().peer_certificate_subject, "");
}

TEST_F(MutualTls, RefusesAClientWithoutCertificate) {
  require(tls::ClientCertificate::required);
  Pair pair = make_pair();
  pair.run();
  EXPECT_EQ(pair.server->bridge().alert(), 116);  // certificate_required
}

TEST_F(MutualTls, OptionalLetsAClientWithoutCertificateIn) {
  require(tls::ClientCertificate::optional);
  Pair pair = make_pair();
  pair.run();
  EXPECT_TRUE(pair.server->bridge().handshake_complete());
  EXPECT_EQ(pair.server->bridge().facts().peer_certificate_subject, "");
}

TEST_F(MutualTls, RefusesAClientOfAnotherAuthority) {
  require(tls::ClientCertificate::optional);
  const auto stranger = tls::make_authority(tls::DevelopmentOptions(kNow));
  show(*stranger);
  Pair pair = make_pair();
  pair.run();
  EXPECT_TRUE(pair.server->bridge().failure().is(Code::certificate));
}

TEST_F(CryptoBridgeTest, TlsAfterTheHandshakeIsUnexpected) {
  Pair pair = make_pair();
  pair.run();
  ASSERT_TRUE(pair.server->bridge().handshake_complete());
  // A KeyUpdate message, which QUIC forbids (RFC 9001 §6).
  const Octets key_update{0x18, 0, 0, 1, 0};
  ASSERT_EQ(ngtcp2_conn_submit_crypto_data(pair.client->conn(), NGTCP2_ENCRYPTION_LEVEL_1RTT,
                                           key_update.data(), key_update.size()),
            0);
  pair.run();
  EXPECT_EQ(pair.server->error, NGTCP2_ERR_CRYPTO);
  EXPECT_EQ(ngtcp2_conn_get_tls_alert(pair.server->conn()), 10);

  Pair second = make_pair();
  second.run();
  ASSERT_EQ(ngtcp2_conn_submit_crypto_data(second.server->conn(), NGTCP2_ENCRYPTION_LEVEL_1RTT,
                                           key_update.data(), key_update.size()),
            0);
  second.run();
  EXPECT_EQ(second.client->error, NGTCP2_ERR_CRYPTO);
  EXPECT_EQ(ngtcp2_conn_get_tls_alert(second.client->conn()), 10);
}

TEST_F(CryptoBridgeTest, KeyLogNamesEverySecret) {
  std::string text;
  client_options_.key_log(tls::KeyLog::to([&](std::string_view line) { (text += line) += '\n'; }));
  Pair pair = make_pair();
  pair.run();
  for (const char* label : {"CLIENT_HANDSHAKE_TRAFFIC_SECRET ", "SERVER_HANDSHAKE_TRAFFIC_SECRET ",
                            "CLIENT_TRAFFIC_SECRET_0 ", "SERVER_TRAFFIC_SECRET_0 "}) {
    EXPECT_THAT(text, HasSubstr(label));
  }
}

// ---- chacha20_only ------------------------------------------------------------------------------

/// The cipher suites of the ClientHello in a client's first packet, which it opens as anyone can.
std::vector<int> offered_suites(const Octets& datagram) {
  ngtcp2_pkt_hd header;
  EXPECT_EQ(ngtcp2_accept(&header, datagram.data(), datagram.size()), 0);
  const InitialSecrets secrets = initial_secrets(header.version, cid_bytes(header.dcid));
  const PacketKeys keys =
      derive_packet_keys(header.version, kInitialSuite, ByteView(secrets.client).first(32));
  Octets packet = datagram;
  std::size_t at = 1 + 4 + 1 + header.dcid.datalen + 1 + header.scid.datalen;
  at += 1 + header.tokenlen;
  at += std::size_t{1} << (packet[at] >> 6);
  std::uint8_t mask[5];
  HeaderKey(Aead::aes_128_gcm, keys.hp_view()).mask(mask, packet.data() + at + 4);
  packet[0] ^= mask[0] & 0x0f;
  const std::size_t number_length = (packet[0] & 3u) + 1;
  auto nonce = keys.iv;
  std::size_t number = 0;
  for (std::size_t i = 0; i < number_length; ++i) {
    packet[at + i] ^= mask[1 + i];
    number = number << 8 | packet[at + i];
  }
  nonce[11] ^= static_cast<std::uint8_t>(number);
  at += number_length;
  Octets payload(packet.begin() + static_cast<std::ptrdiff_t>(at), packet.end());
  EXPECT_TRUE(AeadKey(Aead::aes_128_gcm, keys.key_view())
                  .open(payload.data(), payload, nonce, ByteView(packet).first(at)));
  // CRYPTO frame: 06, offset, length (1, 2 or 4 bytes), ClientHello.
  EXPECT_EQ(payload[0], 0x06);
  EXPECT_EQ(payload[1], 0x00);
  std::size_t hello = 2 + (std::size_t{1} << (payload[2] >> 6));
  EXPECT_EQ(payload[hello], 1);
  hello += 4 + 2 + 32;
  hello += 1 + payload[hello];
  std::vector<int> suites;
  const std::size_t length = static_cast<std::size_t>(payload[hello]) << 8 | payload[hello + 1];
  for (std::size_t i = 0; i < length; i += 2) {
    suites.push_back(payload[hello + 2 + i] << 8 | payload[hello + 3 + i]);
  }
  return suites;
}

TEST_F(CryptoBridgeTest, AClientMayOfferOnlyChaCha20) {
  client_options_.chacha20_only(true);
  Pair pair = make_pair();
  pair.run();
  EXPECT_THAT(offered_suites(pair.client_sent.front()), ElementsAre(0x1303));
  ASSERT_TRUE(pair.client->bridge().handshake_complete()) << pair.client->bridge().failure().detail;
  EXPECT_TRUE(pair.server->bridge().handshake_complete());
  EXPECT_EQ(pair.server->bridge().facts().cipher, "TLS_CHACHA20_POLY1305_SHA256");
  pair.client->to_send = std::string(5000, 'x');
  pair.client->open_stream();
  pair.run();
  EXPECT_EQ(pair.server->received.size(), 5000u);
}

TEST_F(CryptoBridgeTest, AClientWithoutThatOffersAllThree) {
  Pair pair = make_pair();
  pair.run();
  EXPECT_THAT(offered_suites(pair.client_sent.front()),
              ::testing::UnorderedElementsAre(0x1301, 0x1302, 0x1303));
}

TEST_F(CryptoBridgeTest, OnlyChaCha20SurvivesAHelloRetryRequest) {
  client_options_.chacha20_only(true).groups("X25519:P-256");
  server_options_.groups("P-256");
  Pair pair = make_pair();
  pair.run();
  EXPECT_TRUE(pair.client->bridge().handshake_complete()) << pair.client->bridge().failure().detail;
  EXPECT_EQ(pair.server->bridge().facts().cipher, "TLS_CHACHA20_POLY1305_SHA256");
}

TEST_F(CryptoBridgeTest, AServerMayTakeOnlyChaCha20) {
  server_options_.chacha20_only(true);
  Pair pair = make_pair();
  pair.run();
  EXPECT_EQ(pair.client->bridge().facts().cipher, "TLS_CHACHA20_POLY1305_SHA256");
}

}  // namespace
}  // namespace tern::quic
