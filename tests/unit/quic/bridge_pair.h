#pragma once

#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <netinet/in.h>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>

#include "transport/quic/crypto_bridge.h"
#include "transport/tls/development.h"

namespace tern::quic::test {

using Octets = std::vector<std::uint8_t>;

inline constexpr UnixSeconds kNow = 1'750'000'000;

/// One end: an ngtcp2_conn with a bridge and as little else as it takes.
class End {
 public:
  struct Settings {
    bool server = false;
    std::uint32_t version = kVersion1;                           // of the first flight
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
      const ngtcp2_ssize size =
          ngtcp2_conn_writev_stream(conn_, nullptr, nullptr, packet.data(), packet.size(), &taken,
                                    streaming ? NGTCP2_WRITE_STREAM_FLAG_NONE : 0,
                                    streaming ? stream_ : -1, &piece, streaming ? 1 : 0, now);
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
    const int result =
        ngtcp2_conn_read_pkt(conn_, &path_, &info, packet.data(), packet.size(), now);
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

inline Octets cid_bytes(const ngtcp2_cid& cid) { return Octets(cid.data, cid.data + cid.datalen); }

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

inline std::uint32_t version_of(const Octets& packet) {
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

}  // namespace tern::quic::test
