#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/time.h"
#include "transport/sim/trace.h"
#include "transport/tls/key_log.h"

namespace tern::handoff {

class Stage;

/// Looks at what TCP brings to the phones and tells each transfer how long it was held up by others
/// (Transfer::held_up): its bytes had arrived, with all of the same stream before them, but stood
/// behind a gap in the byte stream of the connection.
///
/// When the gap is filled, everything up to there is in the receiving application's hands in that
/// same instant. So a piece of a stream was held up from when the last of its own bytes arrived
/// until then; if one of its own was missing, not at all. In HTTP/2 "arrived" means the whole TLS
/// record, since less than that nobody can read: what a record waits for its own rest does not
/// count. Opened with the secrets of the server's key log.
class TcpFollower final : public sim::TraceObserver {
 public:
  /// Observes the stage's world, which outlives this object.
  explicit TcpFollower(Stage& stage);
  TcpFollower(const TcpFollower&) = delete;
  TcpFollower& operator=(const TcpFollower&) = delete;
  ~TcpFollower();

  const std::shared_ptr<tls::KeyLog>& key_log() const noexcept { return key_log_; }
  void observe(const sim::TraceEvent& event) override;

  /// Bytes of a connection, in order. What of them is of which stream depends on the carrier.
  class Framing {
   public:
    virtual ~Framing() = default;
    virtual void take(ByteView bytes, Duration arrived) = 0;
  };

 private:
  struct Piece {
    std::vector<std::uint8_t> bytes;
    Duration arrived;
  };
  /// From the server to a phone, by the phone's address and port.
  struct Flow {
    std::uint32_t first = 0;  // sequence number of the first byte
    std::uint64_t next = 0;   // position of the first byte that is missing
    std::map<std::uint64_t, Piece> early;
    std::unique_ptr<Framing> framing;
  };
  void segment(Flow& flow, std::uint64_t position, ByteView bytes);

  Stage& stage_;
  std::shared_ptr<tls::KeyLog> key_log_;
  std::vector<std::vector<std::uint8_t>> secrets_;  // of servers' application data
  std::map<std::string, Flow> flows_;
};

}  // namespace tern::handoff
