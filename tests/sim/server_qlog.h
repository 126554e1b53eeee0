#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "transport/quic/qlog.h"
#include "transport/udp/forwarding_network.h"

/// What a server says in each of its datagrams: the datagrams as it hands them to its network, laid
/// beside the packets of its own qlog. The network knows the path and not the frames, the qlog the
/// frames and not the path; both know the order and the sizes.

namespace tern::sim {

struct SentDatagram {
  Timestamp when;
  udp::Path path;
  std::size_t size = 0;
  bool handshake = false;  ///< begins with a long header, and may have several packets
  std::string frames;      ///< the qlog's "frames", as text

  bool has(std::string_view frame_type) const {
    return frames.find("\"frame_type\":\"" + std::string(frame_type) + "\"") != std::string::npos;
  }
};

/// A worker's network that writes down what comes and goes through it.
class WatchedNetwork final : public udp::ForwardingNetwork, private udp::Sink {
 public:
  using ForwardingNetwork::ForwardingNetwork;

  struct Received {
    Timestamp when;
    udp::Path path;
    std::size_t size;
  };
  const std::vector<SentDatagram>& sent() const noexcept { return sent_; }
  const std::vector<Received>& received() const noexcept { return received_; }
  /// The largest run of equal datagrams that was sent as one.
  std::size_t largest_batch() const noexcept { return largest_batch_; }

  Result<std::unique_ptr<udp::Socket>> open(const udp::SocketOptions& options,
                                            udp::Sink& sink) override;
  void submit(udp::Slab* slab) override;

 private:
  void receive(udp::Socket& socket, const udp::Arrival& arrival) override;
  void send_failed(udp::Socket& socket, const udp::Path& path, int error) override {
    sink_->send_failed(socket, path, error);
  }

  udp::Sink* sink_ = nullptr;  // a server's worker has one
  std::vector<SentDatagram> sent_;
  std::vector<Received> received_;
  std::size_t largest_batch_ = 0;
};

/// The qlog of a server's only connection.
class ServerQlog {
 public:
  ServerQlog() : text_(std::make_shared<std::string>()) {}
  /// For ServerOptions::qlog.
  quic::QlogOpener opener();

  /// `sent` with the frames of each datagram. Throws if the two cannot be laid beside each other.
  std::vector<SentDatagram> explain(std::vector<SentDatagram> sent) const;

  /// A recovery metric, each time it was told.
  struct Metric {
    Duration when;  ///< since the connection began
    std::uint64_t value;
  };
  std::vector<Metric> metric(std::string_view name) const;

 private:
  std::shared_ptr<std::string> text_;
};

}  // namespace tern::sim
