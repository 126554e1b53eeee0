#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "base/error.h"
#include "base/task.h"

namespace tern::handoff {

class Access;
class Phone;
class Stage;
class Transfer;

/// How a phone's requests travel, to be compared with the others on the same networks.
enum class CarrierKind : std::uint8_t {
  quic,            ///< tern's client as it is: the connection follows the network
  quic_reconnect,  ///< the same, but it never migrates: a new connection when the network changes
  tcp_reconnect,   ///< HTTP/2 over TLS over TCP, modelled, likewise
  http2,           ///< HTTP/2 over TLS over TCP, tern's own fallback, likewise
  webtransport,    ///< as `quic`, but all of a phone's transfers are streams of one session
  rpc,             ///< as `quic`, but they are calls that stream, with a hundred more beside them
};

struct CarrierType {
  CarrierKind kind;
  std::string_view name;   ///< "quic-reconnect", as on the command line
  std::string_view title;  ///< for tables and pictures
  std::string_view about;
  bool usual = true;  ///< compared unless others are asked for
  /// Which stream each byte on the wire is of can be told (qlog_follower.h, tcp_follower.h).
  bool streams_followed = true;
};
std::span<const CarrierType> carriers() noexcept;
const CarrierType& type_of(CarrierKind kind) noexcept;
/// Its connections follow the network.
constexpr bool migrates(CarrierKind kind) noexcept {
  return kind == CarrierKind::quic || kind == CarrierKind::webtransport || kind == CarrierKind::rpc;
}
const CarrierType* find_carrier(std::string_view name) noexcept;

/// A phone's end. Owned by the phone; belongs to its runtime.
class Carrier {
 public:
  virtual ~Carrier() = default;

  /// Has a connection ready, as an application does when it starts.
  virtual Task<void> connect() = 0;
  /// One attempt at what is left of the transfer: until it is complete, or something broke.
  virtual Task<Result<void>> attempt(Transfer& transfer) = 0;
  /// The phone's system tells its applications that networks came, went or changed rank.
  virtual void network_changed() = 0;
  /// That network has just stopped working, which the phone's system need not know yet.
  virtual void path_dies(const Access&) {}
  /// Stream bytes that this end has sent again, as far as the transport tells.
  virtual std::uint64_t retransmitted() const { return 0; }
  /// Ends the connections and says so to the server.
  virtual Task<void> close() = 0;
};

/// The server's end, and what it saw. Owned by the stage.
class CarrierServer {
 public:
  virtual ~CarrierServer() = default;
  virtual std::unique_ptr<Carrier> carrier_for(Phone& phone) = 0;
  /// Closes what is open and ends; the world runs meanwhile.
  virtual void stop() = 0;
  virtual bool stopped() const = 0;

  virtual std::uint64_t handshakes() const = 0;
  virtual std::uint64_t retransmitted() const { return 0; }
  virtual std::uint64_t connections_open() const = 0;
  /// WebTransport sessions, ever.
  virtual std::uint64_t sessions() const { return 0; }
};

std::unique_ptr<CarrierServer> make_server(CarrierKind kind, Stage& stage);

}  // namespace tern::handoff
