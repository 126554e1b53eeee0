#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "tools/interop/json_value.h"
#include "transport/quic/event.h"
#include "transport/quic/qlog.h"

namespace tern::interop {

/// What one connection's qlog tells, counted as it is written. The cases of the prober take their
/// evidence from here: the client's own account of the packets it opened, not the server's word.
class QlogFacts {
 public:
  /// The larger counts of the ACK frames that report ECN (RFC 9000 §19.3.2).
  struct EcnCounts {
    std::uint64_t ect0 = 0;
    std::uint64_t ect1 = 0;
    std::uint64_t ce = 0;
    bool any() const noexcept { return ect0 + ect1 + ce > 0; }
  };

  /// One record or several, each whole (quic::QlogSink::write).
  void take(std::string_view records);

  /// Packets by their type as qlog has it: "initial", "handshake", "0RTT", "1RTT", "retry",
  /// "version_negotiation".
  std::uint64_t packets_sent(std::string_view type) const noexcept;
  std::uint64_t packets_received(std::string_view type) const noexcept;
  /// Frames by their type as qlog has it: "path_challenge", "new_connection_id" …
  std::uint64_t frames_sent(std::string_view type) const noexcept;
  std::uint64_t frames_received(std::string_view type) const noexcept;

  /// What the peer says about the marks of our packets, and we about those of the peer's.
  const EcnCounts& ecn_reported() const noexcept { return ecn_reported_; }
  const EcnCounts& ecn_seen() const noexcept { return ecn_seen_; }

  /// The peer's transport parameters; null before they came.
  const JsonValue* peer_parameters() const noexcept { return peer_parameters_.get(); }

  /// Bytes of the peer's unidirectional HTTP/3 stream of this type, its type byte left out:
  /// "qpack_encode", "qpack_decode", "control".
  std::uint64_t peer_stream_bytes(std::string_view type) const noexcept;
  /// The same of ours.
  std::uint64_t own_stream_bytes(std::string_view type) const noexcept;

 private:
  using Counts = std::map<std::string, std::uint64_t, std::less<>>;

  void record(const JsonValue& event);
  void packet(const JsonValue& data, bool sent);
  std::uint64_t stream_bytes(std::string_view type, bool own) const noexcept;

  Counts sent_packets_, received_packets_, sent_frames_, received_frames_;
  EcnCounts ecn_reported_, ecn_seen_;
  std::shared_ptr<const JsonValue> peer_parameters_;
  std::map<quic::StreamId, std::string> stream_types_;
  std::map<quic::StreamId, std::uint64_t> sent_bytes_, received_bytes_;  // unidirectional streams
};

/// Writes into `facts`, and into the sink that `also` opens, if it is set.
quic::QlogOpener collect_qlog(std::shared_ptr<QlogFacts> facts, const quic::QlogOpener& also);

}  // namespace tern::interop
