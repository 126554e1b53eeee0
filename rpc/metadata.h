#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/fields.h"
#include "rpc/status.h"

namespace tern::rpc {

/// What accompanies a call's messages: keys with values, in order, keys may repeat. Keys are lower
/// case, of `0-9a-z_-.`; one that ends in "-bin" has any bytes for a value, another printable ASCII
/// (0x20 to 0x7e). Keys that begin with "grpc-" are the protocol's, and so are HTTP's own (see
/// `is_reserved`). A value type.
class Metadata {
 public:
  struct Entry {
    std::string key;
    std::string value;
    friend bool operator==(const Entry&, const Entry&) = default;
  };

  Metadata() = default;

  /// From a request's or response's header lines, or trailers: all but the reserved ones. Values of
  /// "-bin" keys are base64, padded or not, several perhaps with commas between
  /// (PROTOCOL-HTTP2.md). INTERNAL when one is not.
  static Result<Metadata> from(const http::Fields& fields);
  /// Appends header lines; `prefix` before each key ("trailer-" in Connect). Base64 without
  /// padding.
  void add_to(http::Fields& fields, std::string_view prefix = {}) const;

  /// Adds a value, after those the key has. The key is put into lower case. What may not be sent
  /// (`valid_key`, `valid_value`) is left out, and false returned.
  bool add(std::string_view key, std::string_view value);
  void remove(std::string_view key);
  void clear() noexcept { entries_.clear(); }

  /// The first value of a (lower-case) key; a view until the next change.
  std::optional<std::string_view> find(std::string_view key) const noexcept;
  /// All of them, in order.
  std::vector<std::string_view> all(std::string_view key) const;

  bool empty() const noexcept { return entries_.empty(); }
  std::size_t size() const noexcept { return entries_.size(); }
  auto begin() const noexcept { return entries_.begin(); }
  auto end() const noexcept { return entries_.end(); }
  friend bool operator==(const Metadata&, const Metadata&) = default;

  static bool is_binary(std::string_view key) noexcept { return key.ends_with("-bin"); }
  /// Lower-case, not empty, of the allowed characters and not reserved.
  static bool valid_key(std::string_view key) noexcept;
  static bool valid_value(std::string_view key, std::string_view value) noexcept;
  /// HTTP's and the dialects' own lines, which are no metadata: content-type, te, grpc-timeout,
  /// connect-protocol-version, …
  static bool is_reserved(std::string_view key) noexcept;

 private:
  std::vector<Entry> entries_;
};

/// Base64 as the dialects have it: written with or without padding, read with either or none.
/// `url`: with '-' and '_' (RFC 4648 §5).
std::string to_base64(std::string_view bytes, bool padded = false, bool url = false);
/// Appends what it decodes to; both alphabets are understood. False when it is malformed.
bool from_base64(std::string_view text, std::string& bytes);

/// `grpc-message`: percent-encodes what is not printable ASCII, and '%' itself.
std::string encode_message(std::string_view text);
/// The other way, tolerant: what is no escape stays as it is.
std::string decode_message(std::string_view value);

/// Adds the trailers grpc-status, grpc-message and grpc-status-details-bin (where there are
/// details) to `fields`.
void add_status(http::Fields& fields, const Status& status);
/// What those trailers say; nothing without a grpc-status. A grpc-status that is no number is
/// UNKNOWN.
std::optional<Status> find_status(const http::Fields& fields);

}  // namespace tern::rpc
