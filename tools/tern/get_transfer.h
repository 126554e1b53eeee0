#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/runtime.h"
#include "base/task.h"
#include "gateway/client.h"
#include "tools/tern/exit_code.h"
#include "tools/tern/get_options.h"
#include "tools/tern/get_output.h"

namespace tern::cli {

/// The request that the flags describe, the same for every URL.
struct RequestPlan {
  std::string method;
  http::Fields fields;
  Bytes body;
  std::string upload;  ///< file that is streamed, "-" for stdin; empty: none
  std::optional<std::uint64_t> upload_size;

  /// Throws a Failure for a file that cannot be read or a header that is none.
  static RequestPlan from(const GetOptions& options);
};

/// Takes "user:password@" out of a URL, where results do not repeat it; nothing if there is none.
/// Percent-decoded, with a colon behind a user without a password.
std::optional<std::string> take_credentials(std::string& url);

/// One URL, from the request to the last byte of its output.
class Transfer {
 public:
  /// `url` may hold credentials; those of `plan` come before them.
  Transfer(Client& client, Runtime& runtime, const GetOptions& options, const RequestPlan& plan,
           std::string url);

  BodyOutput& output() noexcept { return output_; }
  /// Called with the size of each piece of a body that has come.
  std::function<void(std::size_t)> on_bytes;

  /// Never fails: what went wrong stands in the result.
  Task<void> run();
  const TransferResult& result() const noexcept { return result_; }
  /// Of the response, if it said so.
  std::optional<std::uint64_t> expected() const noexcept { return expected_; }
  std::uint64_t received() const noexcept { return result_.received_bytes; }
  bool done() const noexcept { return done_; }
  /// For a transfer that did not end by itself.
  void set_failure(ExitCode code, std::string message);

 private:
  Task<Result<void>> attempt();
  Task<Result<void>> attempt_once(ClientRequest& request, bool& redirected);
  Task<void> run_upload(http::ClientExchange& exchange);
  Task<Result<void>> send_upload(http::ClientExchange& exchange);
  Task<Result<void>> send_file(http::ClientExchange& exchange, int file);
  Task<Result<void>> send_stream(http::ClientExchange& exchange, int file);
  Task<Result<void>> receive(ClientStream& stream, ClientRequest& request, bool& redirected);
  Result<void> write_head(std::string_view protocol, const http::Response& head);
  Task<Result<void>> drain();
  Task<Result<void>> receive_body(http::ClientExchange& exchange, const http::Response& head);
  std::optional<Duration> may_repeat(const ClientRequest& request, const Error& error,
                                     const ClientStream* stream);
  ClientRequest make_request() const;
  void fail_result(const Error& error);
  ExitCode code_of(const Error& error) const;

  Client& client_;
  Runtime& runtime_;
  const GetOptions& options_;
  const RequestPlan& plan_;
  http::Fields fields_;  // the plan's, and what this URL alone has
  BodyOutput output_;
  TransferResult result_;
  std::optional<std::uint64_t> expected_;
  std::optional<Error> upload_error_;
  std::size_t tries_ = 1;
  std::optional<Duration> wait_;  // the request goes again, then
  /// Of what the error's own code does not tell, what went wrong.
  enum class Trouble : std::uint8_t { none, writing, reading, proxy, decoding, redirects };
  Trouble trouble_ = Trouble::none;
  Stage stage_ = Stage::connecting;
  bool done_ = false;
};

}  // namespace tern::cli
