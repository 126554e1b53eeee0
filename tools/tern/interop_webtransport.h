#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/runtime.h"
#include "base/scope.h"
#include "base/task.h"
#include "tools/tern/interop_endpoint.h"
#include "webtransport/session.h"

/// The interop runner's WebTransport test cases. Sessions are at the first component of a path, the
/// endpoint; files are asked for by "GET <file>" and come as the kind of exchange has it:
///
///   unidirectional   on a stream of its own, "PUSH <file>\n" and the bytes
///   bidirectional    on the same stream, the bytes alone
///   datagram         in a datagram, "PUSH <file>\n" and the bytes
///
/// Both sides may ask; which one does, and how, is what a test case says.

namespace tern::cli {

enum class WebTransportExchange : std::uint8_t { none, unidirectional, bidirectional, datagram };

struct WebTransportCase {
  std::string_view name;
  /// How this side asks for its REQUESTS.
  WebTransportExchange asks = WebTransportExchange::none;
  bool client = true;  ///< a client may be told so
  bool server = true;
};

/// nullptr: the role knows no such case, which is exit code 127.
const WebTransportCase* webtransport_case(std::string_view name, bool server) noexcept;

/// What is asked of each endpoint: names of files, perhaps none. REQUESTS are URLs or paths without
/// a host. Error invalid: one that names no endpoint.
Result<std::map<std::string, std::vector<std::string>>> webtransport_requests(
    const std::vector<std::string>& requests);

/// One session, on either side: answers what it is asked for from `www`/ENDPOINT, asks for `wanted`
/// and keeps what comes in `downloads`/ENDPOINT. Belongs to the session's thread.
class WebTransportFiles {
 public:
  /// Of a file that is sent or received.
  static constexpr std::size_t kMaxFile = 64 * 1024 * 1024;
  /// Between two datagrams: what the runner's link of 10 Mbit/s and its queue bear.
  static constexpr Duration kPace = std::chrono::milliseconds(2);
  /// Without an answer for so long a request in a datagram is made again.
  static constexpr Duration kAgain = std::chrono::milliseconds(500);

  WebTransportFiles(webtransport::Session& session, const InteropEndpointOptions& options,
                    std::string endpoint, WebTransportExchange asks,
                    std::vector<std::string> wanted);
  WebTransportFiles(const WebTransportFiles&) = delete;
  WebTransportFiles& operator=(const WebTransportFiles&) = delete;

  /// Returns when all that is wanted is there, or the session has ended; `failure` says whether and
  /// why it is not.
  Task<void> run();
  bool complete() const noexcept { return wanted_.empty(); }
  const std::string& failure() const noexcept { return failure_; }

 private:
  Task<void> accept_unidirectional();
  Task<void> accept_bidirectional();
  Task<void> receive_datagrams();
  Task<void> send_datagrams();
  Task<void> ask_again();
  Task<void> ask(std::string file);
  Task<void> answer(std::unique_ptr<webtransport::Stream> stream);
  Task<void> push(std::string file);
  Task<void> take_push(std::unique_ptr<webtransport::Stream> stream);

  std::optional<std::string> read(std::string_view file);
  void keep(std::string_view file, std::string_view bytes);
  /// "PUSH <file>\n…"; false: it is none.
  bool take_push(std::string_view text);
  void fail(std::string why);

  webtransport::Session& session_;
  const InteropEndpointOptions& options_;
  std::string endpoint_;
  WebTransportExchange asks_;
  std::set<std::string, std::less<>> wanted_;
  Fifo<std::string> datagrams_;  // to be sent, in their time
  Signal sendable_;
  Signal changed_;
  Timestamp progressed_{};
  std::string failure_;
  Scope scope_;  // last: its tasks use everything above
};

void run_webtransport_server(const InteropEndpointOptions& options, const WebTransportCase& test);
/// False: something failed, as said on stderr.
bool run_webtransport_client(const InteropEndpointOptions& options, const WebTransportCase& test);

/// What both sides write down of the handshake: `downloads`/negotiated_protocol.txt.
void note_protocol(const InteropEndpointOptions& options, std::string_view protocol);

}  // namespace tern::cli
