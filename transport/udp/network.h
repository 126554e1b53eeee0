#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/counters.h"
#include "base/driver.h"
#include "base/error.h"
#include "transport/udp/address.h"

/// The seam for datagrams: what `transport/engine` (io_uring, epoll) and `transport/sim` implement
/// and everything above uses. Batches in both directions: what the kernel coalesced (GRO) arrives
/// as one `Arrival`; what is to be segmented (GSO) leaves as one `Transmit`.

namespace tern::tcp {
class Network;
}

namespace tern::udp {

/// ECN codepoint of the IP header (RFC 3168 §5).
enum class Ecn : std::uint8_t { not_ect = 0, ect1 = 1, ect0 = 2, ce = 3 };

/// One or more datagrams of equal size (the last may be shorter) from one sender. The bytes belong
/// to the network and are valid during the call only; they may be modified (decrypted in place).
struct Arrival {
  Path path;  ///< local is the address the datagram was sent to, not the wildcard
  Ecn ecn = Ecn::not_ect;
  MutableBytes bytes;
  std::size_t segment_size = 0;  ///< every datagram's size but the last's; never 0
};

/// One or more datagrams of equal size (the last may be shorter) to one receiver, as a range of a
/// `Slab`.
struct Transmit {
  Path path;  ///< a wildcard or unspecified local address lets the OS choose
  Ecn ecn = Ecn::not_ect;
  std::uint32_t offset = 0;
  std::uint32_t length = 0;
  std::uint32_t segment_size = 0;
};

class Socket;
struct Interfaces;
class InterfaceWatch;

/// A send buffer of the network. Packets are encrypted straight into `space()`; each `add` says
/// how a range of it is to be sent. Borrowed from `Network::acquire`, given back with `submit`.
class Slab {
 public:
  static constexpr std::size_t kSize = 64 * 1024;
  /// Linux refuses more than 64 segments in one send (UDP_MAX_SEGMENTS in older kernels).
  static constexpr std::size_t kMaxSegments = 64;
  /// A UDP datagram's limit, for the sum of one Transmit's segments.
  static constexpr std::size_t kMaxTransmit = 65507;

  struct Entry {
    Socket* socket;
    Transmit transmit;
  };

  MutableBytes space() noexcept { return {data_, kSize}; }
  const std::vector<Entry>& entries() const noexcept { return entries_; }
  void add(Socket& socket, const Transmit& transmit) { entries_.push_back({&socket, transmit}); }
  /// For the network that owns it.
  void clear() noexcept { entries_.clear(); }

 protected:
  explicit Slab(std::uint8_t* data) noexcept : data_(data) {}
  ~Slab() = default;

 private:
  std::uint8_t* data_;  // kSize bytes, owned by the derived class
  std::vector<Entry> entries_;
};

/// Who takes what a socket receives. Called from `Driver::reap`; must not close the socket there.
class Sink {
 public:
  virtual void receive(Socket& socket, const Arrival& arrival) = 0;
  /// A send failed for good (EMSGSIZE for a datagram above the path MTU, ENETUNREACH, …); what was
  /// lost is the transport's to find out, as with any lost datagram. `error` is an errno value.
  virtual void send_failed(Socket& socket, const Path& path, int error) = 0;
  /// ICMP said that a datagram to `remote` found nobody (ECONNREFUSED: no socket has that port) or
  /// no way (EHOSTUNREACH, ENETUNREACH …). Anybody may forge that: `quoted` is as much of the
  /// datagram's payload as came back with it, to tell whether we sent it; it may be empty, and is
  /// valid during the call. Only for sockets that asked: SocketOptions::unreachable.
  virtual void unreachable(Socket&, const Address& /*remote*/, int /*error*/, ByteView /*quoted*/) {
  }

 protected:
  ~Sink() = default;
};

/// A bound UDP socket. Owned by whoever opened it; closing is destruction. Sends still in flight
/// at that time complete or are dropped; their slabs return to the network.
class Socket {
 public:
  virtual ~Socket() = default;
  /// The bound address, with the real port where 0 was asked for.
  virtual const Address& local() const noexcept = 0;
};

/// A group of sockets on one address, one for each worker, bound in the order of `index`. With
/// `worker_offset` the kernel steers by the destination connection ID (docs/decisions/0021): the
/// byte at that offset within the CID, modulo `count`, is the index of the socket that receives
/// the datagram. Without it (CIDs are encrypted) the kernel hashes addresses and ports.
struct ReusePort {
  std::uint32_t index = 0;
  std::uint32_t count = 1;  ///< at most 256 with `worker_offset`: a byte names the worker
  std::optional<std::uint8_t> worker_offset;
};

struct SocketOptions {
  Address bind;              ///< port 0: the OS chooses
  ReusePort reuse_port;      ///< count 1: no SO_REUSEPORT
  bool v6_only = false;      ///< an IPv6 wildcard takes IPv4 as well unless set
  bool unreachable = false;  ///< tell Sink::unreachable; for clients. The simulator has no ICMP
  std::string device;        ///< SO_BINDTODEVICE / the simulator's link; empty: any
};

class Network : public Driver {
 public:
  /// The sink outlives the socket. Sockets share a network's turns fairly: what comes to a quiet
  /// one is not kept waiting by, nor delivered after, what came to a busy one later.
  virtual Result<std::unique_ptr<Socket>> open(const SocketOptions& options, Sink& sink) = 0;

  /// A free slab, or nullptr while all are in flight (then `wait` returns when one is free).
  virtual Slab* acquire() = 0;
  /// Sends every entry of the slab, in order; the network has the slab back. Entries whose socket
  /// cannot take them yet are kept in order and sent when it can.
  virtual void submit(Slab* slab) = 0;

  /// Looks `host` up (IP literals included) and calls back from a later turn, on this thread.
  virtual void resolve(std::string_view host, std::uint16_t port,
                       std::function<void(Result<std::vector<Address>>)> done) = 0;

  /// Byte streams on the same loop (transport/tcp/network.h). Lives as long as this network.
  virtual tcp::Network& tcp() = 0;

  /// The interfaces as they are now (transport/udp/interfaces.h).
  virtual Result<Interfaces> interfaces() = 0;
  /// Calls `changed` from a `reap`, on this thread, after interfaces, addresses or routes changed;
  /// several changes at once may be one call. It may end the watch, or begin others. At most
  /// kMaxInterfaceWatches at a time.
  static constexpr std::size_t kMaxInterfaceWatches = 64;
  virtual Result<std::unique_ptr<InterfaceWatch>> watch_interfaces(
      std::function<void()> changed) = 0;
  /// The address that the system would send from to reach `remote` now, port 0, by its routing
  /// table. Error: no way. Sends nothing.
  virtual Result<Address> source_for(const Address& remote) = 0;

  /// One line for people: "io_uring (kernel 6.1: multishot recvmsg, provided buffers, GRO, GSO)".
  virtual std::string description() const = 0;

  /// The network's own counters, "udp.…", to print beside the runtime's. Lives as long as the
  /// network; the values may be read from any thread.
  virtual const Counters& counters() const noexcept;
};

}  // namespace tern::udp
