#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "http/conditional.h"
#include "http/content_coding.h"
#include "http/exchange.h"

/// One representation of a resource (RFC 9110 §3.2), answered with everything that conditional and
/// range requests ask for. What StaticFiles and EmbeddedFiles share.

namespace tern::http {

/// What is known of a representation. Immutable once `complete` was called.
struct Representation {
  std::string content_type;
  Coding coding = Coding::identity;
  std::string etag;  ///< quoted; may be empty
  std::optional<UnixSeconds> last_modified;
  std::uint64_t size = 0;
  std::string cache_control;  ///< may be empty
  bool varies = false;        ///< other codings of it exist

  /// Prepares `fields`; call it when the rest is set.
  void complete();
  Validators validators() const noexcept;

  Fields fields;  ///< of a 200
};

/// Where the bytes come from. Lives as long as the call of `send_representation`.
class BodySource {
 public:
  virtual ~BodySource() = default;
  /// At least one byte from `offset`, at most `size`; an error where there is none.
  virtual Result<Bytes> read(std::uint64_t offset, std::size_t size) = 0;
};

/// The bytes of a body that is in memory.
class MemorySource final : public BodySource {
 public:
  explicit MemorySource(Bytes bytes) noexcept : bytes_(std::move(bytes)) {}
  Result<Bytes> read(std::uint64_t offset, std::size_t size) override;

 private:
  Bytes bytes_;
};

/// A read asks the source for at most this many bytes. Larger ones read no faster (exchange_bench,
/// read_chunks), and every slow client holds one more than Outgoing::kHighWater.
inline constexpr std::size_t kReadChunk = 64 * 1024;
/// The first read, of which the next is twice as large: a client may ask for much at once and take
/// nothing, and then has that of each request, whatever else it may queue (QueuedBytes).
inline constexpr std::size_t kFirstReadChunk = 16 * 1024;

/// Whether the request may be answered by the representation as it is (200, GET, no conditions, no
/// range): then its fields and body are all there is to send.
bool wants_whole(const RequestHead& request) noexcept;

/// Answers GET and HEAD: 200, 206 (one part, or multipart/byteranges), 304, 412 or 416. Resets the
/// stream when the source fails in mid-body. `representation` and `source` outlive the task.
Task<void> send_representation(Exchange& exchange, const Representation& representation,
                               BodySource& source);

}  // namespace tern::http
