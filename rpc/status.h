#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"

namespace google::protobuf {
class Message;
}

/// How a call ended: one of gRPC's seventeen codes, a line of text and perhaps details. All
/// dialects (gRPC, gRPC-Web, Connect, REST) have these; `status_table.h` says what they are
/// elsewhere.

namespace tern::rpc {

/// google.rpc.Code.
enum class Code : std::uint8_t {
  ok = 0,
  cancelled = 1,
  unknown = 2,
  invalid_argument = 3,
  deadline_exceeded = 4,
  not_found = 5,
  already_exists = 6,
  permission_denied = 7,
  resource_exhausted = 8,
  failed_precondition = 9,
  aborted = 10,
  out_of_range = 11,
  unimplemented = 12,
  internal = 13,
  unavailable = 14,
  data_loss = 15,
  unauthenticated = 16,
};
inline constexpr std::size_t kCodes = 17;

/// "not_found", as Connect writes it.
std::string_view name_of(Code code) noexcept;
/// "NOT_FOUND", as gRPC and google.rpc.Status's JSON write it.
std::string_view upper_name_of(Code code) noexcept;
/// From either spelling; Connect's "canceled" too.
std::optional<Code> code_of(std::string_view name) noexcept;

/// A google.protobuf.Any: a message's type and its bytes.
struct Detail {
  std::string type_url;  ///< "type.googleapis.com/google.rpc.ErrorInfo"
  std::string value;     ///< the serialised message

  /// "google.rpc.ErrorInfo": what is behind the last '/'.
  std::string_view type() const noexcept;
  friend bool operator==(const Detail&, const Detail&) = default;
};

/// How a call ended. A value; OK costs nothing. `ok()` asks, `Status()` is OK.
///
///   co_return Status();
///   co_return Status(Code::not_found, "no such user").detail(resource_info);
class [[nodiscard]] Status {
 public:
  Status() noexcept = default;
  explicit Status(Code code) noexcept : code_(code) {}
  /// The text is UTF-8, for people. An OK status has none.
  Status(Code code, std::string message);
  Status(const Status& other);
  Status& operator=(const Status& other);
  Status(Status&&) noexcept = default;
  Status& operator=(Status&&) noexcept = default;
  ~Status() = default;

  /// What an error of the layers below is to a caller (status_table.h).
  static Status from(const Error& error);

  bool ok() const noexcept { return code_ == Code::ok; }
  Code code() const noexcept { return code_; }
  const std::string& message() const noexcept;
  const std::vector<Detail>& details() const noexcept;

  /// Adds a detail, e.g. a google.rpc.ErrorInfo.
  Status& detail(const google::protobuf::Message& message) &;
  Status&& detail(const google::protobuf::Message& message) && {
    return std::move(detail(message));
  }
  Status& detail(Detail any) &;
  Status&& detail(Detail any) && { return std::move(detail(std::move(any))); }
  /// The first detail of that message's type, parsed into it. False: none, or its bytes are not
  /// such a message.
  bool find_detail(google::protobuf::Message& message) const;

  /// "NOT_FOUND: no such user", for logs and people.
  std::string to_string() const;
  friend bool operator==(const Status& a, const Status& b) noexcept {
    return a.code_ == b.code_ && a.message() == b.message() && a.details() == b.details();
  }

 private:
  struct More {
    std::string message;
    std::vector<Detail> details;
  };
  More& more();

  Code code_ = Code::ok;
  std::unique_ptr<More> more_;  // null: neither message nor details
};

/// A google.rpc.Status (what `grpc-status-details-bin` carries), serialised.
std::string serialise(const Status& status);
/// The other way. Nothing when the bytes are none. A code beyond 16 is UNKNOWN.
std::optional<Status> parse_status(std::string_view bytes);

/// A value, or the status that says why there is none.
template <typename T>
using Result = tl::expected<T, Status>;

inline tl::unexpected<Status> fail(Status status) {
  return tl::unexpected<Status>(std::move(status));
}
inline tl::unexpected<Status> fail(Code code, std::string message) {
  return fail(Status(code, std::move(message)));
}

}  // namespace tern::rpc
