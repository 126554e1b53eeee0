#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/error.h"
#include "base/runtime.h"
#include "base/task.h"
#include "gateway/client.h"
#include "http/message.h"
#include "tools/tern/exit_code.h"
#include "tools/tern/json_writer.h"

namespace tern::cli {

/// Where a body goes: a file, stdout, memory (for --json) or nowhere.
class BodyOutput {
 public:
  static constexpr std::size_t kMaxKept = 1024 * 1024;

  BodyOutput() = default;
  BodyOutput(const BodyOutput&) = delete;
  BodyOutput& operator=(const BodyOutput&) = delete;
  ~BodyOutput();

  /// "-" is stdout. Opened at the first write, so that a failed request leaves no empty file.
  void to_file(std::string path) { path_ = std::move(path); }
  /// At most kMaxKept bytes are kept; `kept` says whether that was all.
  void to_memory() noexcept { memory_ = true; }

  /// `-i`, `-I`: the head goes where the body goes, but not into memory. `written` does not count
  /// it.
  Result<void> write_head(std::string_view protocol, const http::Response& head);
  Result<void> write(ByteView bytes);
  /// A pipe or a terminal that takes its time has not got all that was written: `drain` is to be
  /// awaited before more is read for it.
  bool waits() const noexcept { return taken_ < waiting_.size(); }
  Task<Result<void>> drain(Runtime& runtime);
  /// Once nothing waits. An empty body makes an empty file.
  Result<void> finish();
  /// Forgets what was written, where that is possible; false on a pipe that has got something.
  bool restart();
  /// `restart` makes sense.
  bool restartable() const noexcept { return memory_ || path_ != "-" || written_ == 0; }

  const std::string& path() const noexcept { return path_; }
  std::uint64_t written() const noexcept { return written_; }
  const std::string& kept() const noexcept { return kept_; }
  bool all_kept() const noexcept { return memory_ && kept_.size() == written_; }
  bool to_terminal() const noexcept;

 private:
  Result<void> open();
  Result<void> write_to_file(ByteView bytes);
  Result<bool> write_waiting(int milliseconds);

  std::string path_ = "-";
  bool memory_ = false;
  int fd_ = -1;
  bool may_block_ = false;
  std::string waiting_;
  std::size_t taken_ = 0;  // of waiting_
  std::uint64_t written_ = 0;
  std::string kept_;
};

/// What one URL came to.
struct TransferResult {
  std::string url;
  std::string final_url;
  std::optional<http::Response> head;
  std::string protocol;
  std::string file;
  std::uint64_t body_bytes = 0;      ///< as written, after decoding
  std::uint64_t received_bytes = 0;  ///< as they came
  std::uint64_t sent_bytes = 0;
  std::size_t redirects = 0;
  bool early_data = false;
  bool repeated = false;
  ClientTimings timings;
  std::uint64_t connection = 0;
  std::string body;  ///< with --json, if it was kept
  bool has_body = false;
  ExitCode code = ExitCode::done;
  std::string message;  ///< why, if not done
};

/// "QUICv1", "QUICv2", "0x…"; "TCP" for 0.
std::string version_name(std::uint32_t version);

/// One event of a connection, as `-v` shows it on stderr, with "* " before it.
void print_event(const ClientEvent& event);
/// `protocol`: an ALPN name, here and below; or "webtransport/h3", where a request is a stream that
/// begins with its path (docs/rpc.md).
void print_request(std::string_view protocol, const std::string& method,
                   const std::string& authority, const std::string& target,
                   const http::Fields& fields);
/// "HTTP/3 200 OK" and the fields, as `-i` shows them.
std::string head_text(std::string_view protocol, const http::Response& head);
/// The same, each line after `prefix`, to `stream`, with colours on a terminal.
void print_head(std::FILE* stream, std::string_view prefix, std::string_view protocol,
                const http::Response& head);
void print_trailers(std::FILE* stream, std::string_view prefix, const http::Fields& trailers);

/// `--stats`, on stderr.
void print_stats(const TransferResult& result, const ClientConnectionInfo* connection);

/// docs/cli.md has the schema.
void write_transfer(JsonWriter& json, const TransferResult& result);
void write_connection(JsonWriter& json, const ClientConnectionInfo& connection);

}  // namespace tern::cli
