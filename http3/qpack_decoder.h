#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/pool_allocator.h"
#include "http3/error_code.h"
#include "http3/field_line.h"
#include "transport/quic/event.h"

struct nghttp3_qpack_decoder;
struct nghttp3_qpack_stream_context;
struct nghttp3_rcbuf;

namespace tern::http3 {

/// QPACK's decoder for one connection (RFC 9204). The only file that knows nghttp3, of which it is
/// what HTTP/3 here still uses.
///
/// After something has failed only the destructor may be called.
class QpackDecoder {
 public:
  /// Acknowledgments of sections that were skipped wait for so many of them, or for anything else
  /// to say: the peer learns nothing from them but that it may evict again what they refer to, and
  /// each by itself would cost as much as the half of a small request.
  static constexpr std::size_t kDeferred = 16;

  struct Config {
    std::size_t capacity = 0;     ///< of the dynamic table, in bytes
    std::size_t max_streams = 0;  ///< concurrent ones of the peer
  };

  /// What is known of a stream's section while it is read. Goes before its decoder does.
  class Section {
   public:
    Section() noexcept = default;
    Section(const Section&) = delete;
    Section& operator=(const Section&) = delete;
    ~Section() { end(); }
    bool begun() const noexcept { return context_ != nullptr; }
    void end() noexcept;

   private:
    friend class QpackDecoder;
    nghttp3_qpack_stream_context* context_ = nullptr;
  };

  enum class Step : std::uint8_t {
    more,    ///< everything is taken; the section goes on
    line,    ///< a field line
    done,    ///< the section is complete
    waits,   ///< for instructions (RFC 9204 §2.2.1): `ready` says when they have come
    failed,  ///< the connection's error: `error`
  };

  /// The pool outlives the decoder.
  QpackDecoder(MemoryPool& pool, const Config& config);
  QpackDecoder(const QpackDecoder&) = delete;
  QpackDecoder& operator=(const QpackDecoder&) = delete;
  ~QpackDecoder();

  /// Takes the next step's bytes off the front of `bytes`; `last`: the section ends with them. A
  /// line's views are valid until the next step.
  Step read(Section& section, quic::StreamId stream, ByteView& bytes, bool last,
            FieldLine& line) noexcept;
  bool ready(const Section& section) const noexcept;
  /// A section that was not read, for the same bytes were before, in this `generation` of the table
  /// (KnownSections): acknowledges it where it refers to the table. False: the peer's decoder
  /// stream is not read, so the section has to be.
  bool skip(quic::StreamId stream, ByteView section);
  /// Changes with every instruction of the peer's.
  std::uint64_t generation() const noexcept { return generation_; }
  /// A stream whose sections nobody reads any further (RFC 9204 §4.4.2). False: failed.
  bool cancel(quic::StreamId stream) noexcept;
  /// Bytes of the peer's encoder stream. False: failed.
  bool instructions(ByteView bytes) noexcept;
  /// There is something that the decoder stream has to carry next.
  bool has_feedback() const noexcept;
  /// All there is, what could have waited with it.
  Bytes take_feedback();
  /// Something waits that `has_feedback` does not tell of.
  bool defers_feedback() const noexcept { return !feedback_.empty() && !has_feedback(); }
  /// From now on it does.
  void hurry_feedback() noexcept { urgent_ = urgent_ || !feedback_.empty(); }

  ErrorCode error() const noexcept;

 private:
  void release_line() noexcept;
  void gather_feedback();

  PoolAllocator allocator_;  // nghttp3 keeps a pointer to it
  nghttp3_qpack_decoder* decoder_ = nullptr;
  nghttp3_rcbuf* name_ = nullptr;  // of the line read last
  nghttp3_rcbuf* value_ = nullptr;
  int failure_ = 0;
  std::uint64_t generation_ = 0;
  std::vector<std::uint8_t> feedback_;  // before nghttp3's own
  std::size_t skipped_ = 0;             // sections acknowledged there
  bool urgent_ = false;                 // what is there is not to wait
};

}  // namespace tern::http3
