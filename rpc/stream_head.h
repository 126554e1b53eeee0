#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "http/fields.h"
#include "rpc/status.h"

/// How a call on a stream without HTTP's fields begins, a WebTransport stream (docs/rpc.md): each
/// direction's first envelope has the flags of gRPC-Web's trailers and holds lines as they do. The
/// caller's first line is the method's path. Sans-IO, for both sides.

namespace tern::rpc {

/// What a caller says before its first message.
struct CallHead {
  std::string path;     ///< "/pkg.Service/Method"
  http::Fields fields;  ///< content-type, grpc-timeout, …, metadata
};

/// The envelope of a head: the caller's; and the server's, or its trailers.
Bytes call_head_envelope(std::string_view path, const http::Fields& fields);
Bytes head_envelope(const http::Fields& fields);

/// A head's payload, read. INTERNAL when it is none.
Result<CallHead> parse_call_head(std::string_view text);

/// Takes a stream's first bytes, however they were split, until its head is there.
class HeadReader {
 public:
  /// A longer head is RESOURCE_EXHAUSTED, as soon as it says how long it is.
  static constexpr std::size_t kMaxSize = std::size_t{16} * 1024;

  /// True: the head is there, and `push` is not called again. INTERNAL: it is no head.
  Result<bool> push(ByteView piece);
  /// Its lines.
  std::string_view text() const noexcept;
  /// What came behind it.
  Bytes rest() const;

 private:
  std::string bytes_;
  std::size_t size_ = 0;  // of the envelope, once its header is there
};

}  // namespace tern::rpc
