#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "rpc/metadata.h"
#include "rpc/status.h"
#include "tools/tern/call_options.h"
#include "tools/tern/call_schema.h"
#include "tools/tern/exit_code.h"

namespace google::protobuf {
class Message;
}

namespace tern::cli {

/// Of a call that the server answered, or gave up: 64 and the status's number, as grpcurl has it;
/// 0 for OK.
ExitCode exit_code(rpc::Code code) noexcept;

/// What a call came to.
struct CallResult {
  std::string method;  ///< "pkg.Service/Method"
  std::string wire;    ///< "h3"; empty: it never got so far
  std::size_t sent = 0;
  std::size_t received = 0;
  Duration took{};
  rpc::Metadata headers;
  rpc::Metadata trailers;
  rpc::Status status;
  ExitCode code = ExitCode::done;
  std::string message;  ///< why, if not done: one line
};

/// Shows a call's responses as they come, and what it came to.
class CallOutput {
 public:
  /// Messages kept for --json, in bytes.
  static constexpr std::size_t kMaxKept = 1024 * 1024;

  CallOutput(const CallOptions& options, const Schema& schema);

  /// One response. Error when it has no JSON form.
  rpc::Result<void> show(const google::protobuf::Message& message);
  /// False: stdout takes no more.
  bool good() const noexcept { return good_; }

  void show_headers(const rpc::Metadata& headers) const;
  /// The end, on stderr, or everything with --json.
  void show_result(const CallResult& result) const;

 private:
  /// The JSON of what is in a detail; empty: nobody knows the type.
  std::string detail_json(const rpc::Detail& detail) const;
  void print_json(const CallResult& result) const;

  const CallOptions& options_;
  const Schema& schema_;
  bool to_terminal_;
  bool good_ = true;
  std::vector<std::string> kept_;
  std::size_t kept_bytes_ = 0;
};

/// `--list` and `--describe`, without and with --json. False: stdout takes no more.
bool print_names(const std::vector<std::string>& names, bool json);
bool print_definition(std::string_view name, const std::string& definition, bool json);

}  // namespace tern::cli
