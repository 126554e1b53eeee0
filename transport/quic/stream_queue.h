#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <unordered_map>
#include <vector>

#include "base/bytes.h"
#include "base/fifo.h"
#include "transport/quic/event.h"

namespace tern::quic {

/// The default scheduler of a connection: a queue of byte slices for each stream, streams taken in
/// turn, one packet's worth each. Holds slices until they are acknowledged. What bounds it is the
/// writer's back-pressure (`unsent`), for instance http::Outgoing.
class StreamQueue final : public StreamSource {
 public:
  void write(StreamId stream, Bytes bytes, bool fin);
  std::size_t unsent(StreamId stream) const noexcept;
  /// Bytes (and perhaps the end) wait on a stream that is not blocked.
  bool pending() const noexcept { return !ready_.empty(); }

  void acked(StreamId stream, std::uint64_t count) noexcept;
  void writable(StreamId stream);
  /// The stream is closed. Returns how many bytes of `write` were never sent on it.
  std::uint64_t forget(StreamId stream) noexcept;
  /// Forgets everything (0-RTT was rejected).
  void clear() noexcept;

  // StreamSource
  bool next(Write& write) override;
  void sent(StreamId stream, std::size_t count, bool fin) override;
  void blocked(StreamId stream) override;
  void gone(StreamId stream) override;

 private:
  /// Slices offered to one packet; more than a packet ever takes of small slices.
  static constexpr std::size_t kMaxVecs = 16;

  struct Stream {
    std::deque<Bytes> slices;        // from the first unacknowledged byte
    std::size_t acked_in_front = 0;  // of slices[0], already acknowledged
    std::size_t next_slice = 0;      // the first slice with unsent bytes
    std::size_t sent_in_next = 0;    // of that slice, already sent
    std::size_t unsent = 0;
    bool fin = false;
    bool fin_sent = false;
    bool listed = false;  // in ready_
    bool is_blocked = false;
  };

  void list(StreamId id, Stream& stream);

  std::unordered_map<StreamId, Stream> streams_;
  std::unordered_map<StreamId, std::uint64_t> dropped_;  // by `gone`, until `forget`
  Fifo<StreamId> ready_;
  std::vector<Vec> vecs_;
};

}  // namespace tern::quic
