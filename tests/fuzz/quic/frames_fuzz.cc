// 1-RTT packets as a peer gone bad sends them: after an honest handshake the input is what its
// packets say, protected with the connection's keys. The first byte says which side is attacked;
// then each packet is a 2-byte length and the frames; length 0 lets time pass. What the attacked
// side answers is thrown away.

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "base/check.h"
#include "tests/unit/quic/short_packet.h"
#include "transport/quic/endpoint.h"
#include "transport/tls/development.h"
#include "transport/tls/key_log.h"

namespace {

using namespace tern;
using namespace tern::quic;

constexpr UnixSeconds kNow = 1'790'000'000;
constexpr std::size_t kMaxFrames = 1'200;  // of one packet
constexpr std::size_t kMaxSteps = 64;

/// An endpoint, and what it needs.
struct Side {
  Side(EndpointOptions options, std::uint32_t ip, std::uint64_t seed)
      : address(udp::Address::v4(ip, 4433)), random(seed) {
    endpoint = *Endpoint::create(std::move(options), timers, random, counters, null_log());
  }

  udp::Address address;
  TimerHeap timers;
  Random random;
  Counters counters;
  std::unique_ptr<Endpoint> endpoint;
  Connection* connection = nullptr;  // while it is open
  std::vector<std::uint8_t> secret;  // of what it sends
  std::vector<std::uint8_t> peer_cid;
};

/// Both sides of a connection whose handshake is confirmed, each with something on its way.
class Peers {
 public:
  Peers() : server_(server_options(), 0x0a000001, 1), client_(client_options(), 0x0a000002, 2) {
    ConnectOptions options;
    static const auto authority_pem = authority().certificate;
    options.context =
        *tls::ClientContext::create(tls::ClientContextOptions()
                                        .ca_pem(authority_pem)
                                        .key_log(tls::KeyLog::to([this](std::string_view line) {
                                          if (line.starts_with("CLIENT_TRAFFIC_SECRET_0 ")) {
                                            client_.secret = testing::secret_of(line);
                                          } else if (line.starts_with("SERVER_TRAFFIC_SECRET_0 ")) {
                                            server_.secret = testing::secret_of(line);
                                          }
                                        })));
    options.local = client_.address;
    options.remote = server_.address;
    options.server_name = "localhost";
    options.alpn = {"test"};
    client_.connection = *client_.endpoint->connect(options, now_, kNow);
    exchange();
    TERN_CHECK(client_.connection != nullptr && client_.connection->handshake_confirmed());
    server_.endpoint->for_each([&](Connection& connection) { server_.connection = &connection; });
    for (Side* side : {&server_, &client_}) {
      TERN_CHECK(side->secret.size() == 32 && side->peer_cid.size() == 8);
      side->connection->write(*side->connection->open_bidi(), Bytes::copy(std::string(3'000, 'b')),
                              false);
      side->connection->write(*side->connection->open_uni(), Bytes::copy(std::string(300, 'u')),
                              true);
      side->connection->send_datagram(Bytes::literal("datagram"));
    }
  }

  /// `from` attacks the other side with a packet of these frames.
  void attack(bool from_client, ByteView frames) {
    Side& from = from_client ? client_ : server_;
    Side& to = from_client ? server_ : client_;
    if (to.connection == nullptr) return;
    std::vector<std::uint8_t> padded(frames.begin(), frames.end());
    padded.resize(std::max<std::size_t>(padded.size(), 3));  // header protection needs a sample
    deliver(to, from.address,
            testing::protect_short(from.secret, from.peer_cid, number_++, padded));
    settle(to, nullptr);
  }
  void wait(bool from_client) {
    Side& to = from_client ? server_ : client_;
    now_ += std::chrono::milliseconds(100);
    to.timers.expire(now_);
    settle(to, nullptr);
  }

 private:
  static const tls::Identity& authority() {
    static const tls::Identity made = *tls::make_authority(tls::DevelopmentOptions(kNow).days(99));
    return made;
  }
  static EndpointOptions server_options() {
    static const tls::Identity leaf = *tls::make_leaf(authority(), tls::DevelopmentOptions(kNow));
    static const auto context =
        *tls::ServerContext::create(tls::ServerContextOptions().alpn({"test"}).certificate(
            *tls::Certificate::parse(leaf.certificate, leaf.key)));
    static Random random(3);
    static const auto keys = std::make_shared<tls::KeyRing>(random, kNow);
    static const auto reset_key = std::make_shared<StatelessResetKey>(random);
    EndpointOptions options;
    options.server_context = context;
    options.token_keys = keys;
    options.reset_key = reset_key;
    return options;
  }
  static EndpointOptions client_options() { return {}; }

  void deliver(Side& to, const udp::Address& from, std::vector<std::uint8_t> datagram) {
    udp::Arrival arrival;
    arrival.path = {to.address, from};
    arrival.bytes = datagram;
    arrival.segment_size = datagram.size();
    to.endpoint->receive(arrival, now_, kNow);
  }
  /// What `side` sends goes to `peer`, or nowhere.
  bool settle(Side& side, Side* peer) {
    bool sent = false;
    take_events(side);
    for (bool more = true; more;) {
      std::vector<udp::Transmit> transmits;
      std::size_t used = 0;
      more = side.endpoint->fill(space_, used, transmits, now_);
      for (const udp::Transmit& transmit : transmits) {
        sent = true;
        for (std::uint32_t at = 0; peer != nullptr && at < transmit.length;
             at += transmit.segment_size) {
          const auto begin = space_.begin() + transmit.offset + at;
          std::vector<std::uint8_t> datagram(
              begin, begin + std::min(transmit.segment_size, transmit.length - at));
          if ((datagram[0] & 0x80) == 0) {
            side.peer_cid.assign(datagram.begin() + 1, datagram.begin() + 9);
          }
          deliver(*peer, side.address, std::move(datagram));
        }
      }
      take_events(side);
    }
    return sent;
  }
  /// Until both have nothing more to say; half a second covers delayed acknowledgements.
  void exchange() {
    for (int i = 0; i < 50; ++i) {
      bool sent = true;
      while (sent) {
        sent = settle(client_, &server_);
        sent = settle(server_, &client_) || sent;
      }
      now_ += std::chrono::milliseconds(10);
      client_.timers.expire(now_);
      server_.timers.expire(now_);
    }
  }
  static void take_events(Side& side) {
    Event event;
    while (side.endpoint->next_event(event)) {
      if (event.type == Event::Type::stream_data) {
        event.connection->consumed(event.stream, event.data.size());
      } else if (event.type == Event::Type::closed && event.connection == side.connection) {
        side.connection = nullptr;
      }
    }
  }

  Timestamp now_{std::chrono::seconds(1)};
  std::uint32_t number_ = 1'000;  // far above what the honest side has used
  std::vector<std::uint8_t> space_ = std::vector<std::uint8_t>(udp::Slab::kSize);
  Side server_;
  Side client_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 3) return 0;
  Peers peers;
  const bool from_client = (data[0] & 1) == 0;
  std::size_t at = 1;
  for (std::size_t step = 0; step < kMaxSteps && at + 2 <= size; ++step) {
    const std::size_t wanted = static_cast<std::size_t>(data[at]) << 8 | data[at + 1];
    at += 2;
    const std::size_t length = std::min({wanted, size - at, kMaxFrames});
    if (length == 0) {
      peers.wait(from_client);
    } else {
      peers.attack(from_client, {data + at, length});
    }
    at += length;
  }
  return 0;
}
