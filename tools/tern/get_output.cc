#include "tools/tern/get_output.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "tools/tern/output_room.h"
#include "tools/tern/terminal.h"

namespace tern::cli {
namespace {

double seconds_of(Duration duration) { return std::chrono::duration<double>(duration).count(); }
double milliseconds(Duration duration) { return seconds_of(duration) * 1e3; }

/// Above it, what one piece has grown to (--compressed) is written at once, however long that
/// takes.
constexpr std::size_t kMaxWaiting = 4 * 1024 * 1024;
/// Who reads steadily makes room sooner; to wait for longer is left to a thread.
constexpr int kPatienceMs = 5;

bool may_block(int file) noexcept {
  struct stat facts{};
  if (::fstat(file, &facts) != 0) return false;
  return S_ISFIFO(facts.st_mode) || S_ISSOCK(facts.st_mode) || ::isatty(file) == 1;
}

}  // namespace

BodyOutput::~BodyOutput() {
  if (fd_ > STDERR_FILENO) ::close(fd_);
}

Result<void> BodyOutput::open() {
  if (fd_ >= 0) return {};
  fd_ = path_ == "-" ? STDOUT_FILENO
                     : ::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd_ < 0) return fail(Error::os(errno, "cannot write " + path_));
  may_block_ = may_block(fd_);
  return {};
}

Result<void> BodyOutput::write_head(std::string_view protocol, const http::Response& head) {
  if (memory_) return {};
  if (path_ == "-") {
    print_head(stdout, "", protocol, head);
    return {};
  }
  return write_to_file(as_bytes(head_text(protocol, head)));
}

Result<void> BodyOutput::write(ByteView bytes) {
  written_ += bytes.size();
  if (memory_) {
    kept_.append(as_text(bytes).substr(0, kMaxKept - std::min(kMaxKept, kept_.size())));
    return {};
  }
  return write_to_file(bytes);
}

Result<void> BodyOutput::write_to_file(ByteView bytes) {
  const Result<void> opened = open();
  if (!opened) return opened;
  if (may_block_) {
    waiting_.append(as_text(bytes));
    if (waiting_.size() <= kMaxWaiting) return {};
    const Result<bool> written = write_waiting(-1);
    if (!written) return fail(written.error());
    return {};
  }
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd_, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0)
      return fail(
          Error::os(errno, path_ == "-" ? "cannot write to stdout" : "cannot write " + path_));
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return {};
}

/// Writes what waits, as far as the file takes it; false when it takes nothing for so long.
Result<bool> BodyOutput::write_waiting(int milliseconds) {
  pollfd room{};
  room.fd = fd_;
  room.events = POLLOUT;
  while (waits()) {
    const int ready = ::poll(&room, 1, milliseconds);
    if (ready < 0 && errno == EINTR) continue;
    if (ready == 0) return false;
    // So much does not block where poll sees room, whatever the file's mode is.
    const std::size_t size = std::min<std::size_t>(waiting_.size() - taken_, PIPE_BUF);
    const ssize_t count = ::write(fd_, waiting_.data() + taken_, size);
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (count < 0) {
      return fail(
          Error::os(errno, path_ == "-" ? "cannot write to stdout" : "cannot write " + path_));
    }
    taken_ += static_cast<std::size_t>(count);
  }
  waiting_.clear();
  taken_ = 0;
  return true;
}

Task<Result<void>> BodyOutput::drain(Runtime& runtime) {
  while (true) {
    const Result<bool> all = write_waiting(kPatienceMs);
    if (!all) co_return fail(all.error());
    if (*all) co_return Result<void>();
    OutputRoom room(runtime, fd_);
    co_await room.wait();
  }
}

Result<void> BodyOutput::finish() {
  if (memory_ || path_ == "-") return {};
  const Result<void> opened = open();
  if (!opened) return opened;
  const int fd = std::exchange(fd_, -1);
  if (::close(fd) != 0) return fail(Error::os(errno, "cannot write " + path_));
  return {};
}

bool BodyOutput::restart() {
  if ((written_ != 0 || fd_ > STDERR_FILENO) && !memory_) {
    if (path_ == "-" || ::ftruncate(fd_, 0) != 0 || ::lseek(fd_, 0, SEEK_SET) != 0) return false;
  }
  kept_.clear();
  written_ = 0;
  return true;
}

bool BodyOutput::to_terminal() const noexcept {
  return !memory_ && path_ == "-" && is_terminal(stdout);
}

std::string version_name(std::uint32_t version) {
  if (version == 0) return "TCP";
  if (version == quic::kVersion1) return "QUICv1";
  if (version == quic::kVersion2) return "QUICv2";
  return fmt::format("{:#010x}", version);
}

namespace {

std::string handshake_text(const quic::HandshakeInfo& facts) {
  std::string text = version_name(facts.version);
  for (const std::string& fact : {facts.tls_version, facts.alpn, facts.cipher, facts.group}) {
    if (!fact.empty()) text += ", " + fact;
  }
  if (facts.retried) text += ", address proved by Retry";
  if (facts.resumed) text += ", session resumed";
  if (facts.early_data_accepted) text += ", 0-RTT accepted";
  if (facts.early_data_rejected) text += ", 0-RTT rejected";
  return text;
}

std::string event_text(const ClientEvent& event) {
  using Type = ClientEvent::Type;
  switch (event.type) {
    case Type::resolved: return "resolved " + event.origin + " to " + event.text;
    case Type::connecting:
      return "connecting to " + event.path.remote.to_string() +
             (event.over_tcp ? " over TCP" : " over UDP");
    case Type::falling_back:
      return (event.over_tcp ? "trying HTTP/1.1: " : "trying HTTP/2 over TCP: ") +
             printable(event.text);
    case Type::climbed: return "requests go over HTTP/3 from now on";
    case Type::tunnelling: return "through the proxy " + printable(event.text);
    case Type::connected: {
      std::string text = "connected: " + handshake_text(event.handshake);
      if (!event.handshake.peer_certificate_subject.empty()) {
        text += "\n* certificate: " + printable(event.handshake.peer_certificate_subject);
      }
      return text + "\n* path: " + event.path.local.to_string() + " → " +
             event.path.remote.to_string();
    }
    case Type::early_data_rejected: return "0-RTT was rejected; what went with it is sent again";
    case Type::session_received: return "session ticket received";
    case Type::path_changed:
      return "path changed: " + event.path.local.to_string() + " → " +
             event.path.remote.to_string();
    case Type::network_changed: return "network changed: " + event.text;
    case Type::spare_ready: return "spare path: " + event.text;
    case Type::path_lost: return "path lost: " + event.text;
    case Type::migrating: return "migrating to " + event.text;
    case Type::migration_failed: return "migration failed: " + event.text;
    case Type::reconnecting: return "connecting anew: " + event.text;
    case Type::retried: return "sending the request again: " + printable(event.text);
    case Type::keys_updated: return "keys updated";
    case Type::goaway: return "the server takes no more requests on this connection (GOAWAY)";
    case Type::closed:
      // Over TCP there is often no more to say.
      return "connection closed" + (event.text == "closed" ? "" : ": " + printable(event.text));
  }
  return {};
}

}  // namespace

void print_event(const ClientEvent& event) {
  tell("{}\n", Paint(stderr).dim("* " + event_text(event)));
}

namespace {

/// "HTTP/3" for "h3".
std::string_view http_version(std::string_view protocol) noexcept {
  if (protocol == "h3") return "HTTP/3";
  return protocol == "h2" ? "HTTP/2" : "HTTP/1.1";
}

}  // namespace

void print_request(std::string_view protocol, const std::string& method,
                   const std::string& authority, const std::string& target,
                   const http::Fields& fields) {
  const Paint paint(stderr);
  if (protocol.starts_with("webtransport/")) {
    tell("> {}\n", paint.bold(target));
  } else {
    // A field "host" of the request's own takes the URL's place.
    const std::string host(fields.find("host").value_or(authority));
    tell("> {} {} {}\n> host: {}\n", paint.bold(method), target, http_version(protocol),
         printable(host));
  }
  for (const http::Field& field : fields) {
    if (field.name != "host") tell("> {}: {}\n", field.name, printable(field.value));
  }
  tell(">\n");
}

namespace {

std::string status_line(std::string_view protocol, const http::Response& head) {
  return fmt::format("{} {} {}", http_version(protocol), http::code(head.status()),
                     http::reason(head.status()));
}

/// Whether it arrived on stdout is asked at the end (finish_stdout).
void put(std::FILE* stream, std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stream);
  std::fflush(stream);
}

std::string field_lines(std::string_view prefix, const http::Response& head) {
  std::string text;
  for (const http::Field& field : head.fields()) {
    text += fmt::format("{}{}: {}\n", prefix, field.name, printable(field.value));
  }
  return text + fmt::format("{}\n", prefix);
}

}  // namespace

std::string head_text(std::string_view protocol, const http::Response& head) {
  return status_line(protocol, head) + "\n" + field_lines("", head);
}

void print_head(std::FILE* stream, std::string_view prefix, std::string_view protocol,
                const http::Response& head) {
  const Paint paint(stream);
  const int status = http::code(head.status());
  const std::string line = status_line(protocol, head);
  put(stream, fmt::format("{}{}\n{}", prefix,
                          status >= 400   ? paint.red(line)
                          : status >= 300 ? paint.yellow(line)
                                          : paint.green(line),
                          field_lines(prefix, head)));
}

void print_trailers(std::FILE* stream, std::string_view prefix, const http::Fields& trailers) {
  for (const http::Field& field : trailers) {
    put(stream, fmt::format("{}{}: {}\n", prefix, field.name, printable(field.value)));
  }
}

void print_stats(const TransferResult& result, const ClientConnectionInfo* connection) {
  const Paint paint(stderr);
  const auto row = [&](std::string_view name, const std::string& value) {
    tell("  {} {}\n", paint.dim(fmt::format("{:<12}", name)), value);
  };
  tell("{}\n", paint.bold(result.final_url));
  std::string times;
  const auto time = [&](std::string_view name, Duration at) {
    if (at > Duration::zero()) {
      times += fmt::format("{}{} {}", times.empty() ? "" : " · ", name, human_duration(at));
    }
  };
  time("resolved", result.timings.resolved);
  time("connected", result.timings.connected);
  time("first byte", result.timings.first_byte);
  time("done", result.timings.total);
  row("time", times);
  const Duration body_time = result.timings.total - result.timings.first_byte;
  std::string body = human_bytes(result.received_bytes);
  if (result.body_bytes != result.received_bytes) body += " → " + human_bytes(result.body_bytes);
  if (body_time > Duration::zero() && result.received_bytes > 100'000) {
    body += fmt::format(" at {}/s",
                        human_bytes(static_cast<std::uint64_t>(
                            static_cast<double>(result.received_bytes) / seconds_of(body_time))));
  }
  row("received", body);
  if (result.sent_bytes != 0) row("sent", human_bytes(result.sent_bytes));
  if (connection == nullptr) return;
  const quic::ConnectionStats& stats = connection->stats;
  row("connection", handshake_text(connection->handshake));
  row("path", connection->path.local.to_string() + " → " + connection->path.remote.to_string());
  row("RTT", fmt::format("{} smoothed · {} lowest · ± {}", human_duration(stats.smoothed_rtt),
                         human_duration(stats.min_rtt), human_duration(stats.rtt_variation)));
  if (connection->handshake.version == 0) {  // TCP tells no more
    row("bytes", fmt::format("{} sent · {} received", human_bytes(stats.bytes_sent),
                             human_bytes(stats.bytes_received)));
    row("window", fmt::format("{} congestion · {} in flight", human_bytes(stats.congestion_window),
                              human_bytes(stats.bytes_in_flight)));
    return;
  }
  row("packets",
      fmt::format("{} sent · {} received · {} missing", human_count(stats.packets_sent),
                  human_count(stats.packets_received), human_count(stats.packets_missing)));
  row("bytes", fmt::format("{} sent · {} received · {} UDP payload", human_bytes(stats.bytes_sent),
                           human_bytes(stats.bytes_received), human_bytes(stats.max_udp_payload)));
  row("window", fmt::format("{} congestion · {} in flight", human_bytes(stats.congestion_window),
                            human_bytes(stats.bytes_in_flight)));
  row("changes",
      fmt::format("{} migrations · {} key updates", stats.migrations, stats.key_updates));
}

void write_transfer(JsonWriter& json, const TransferResult& result) {
  json.begin_object().member("url", result.url);
  if (result.final_url != result.url) json.member("final_url", result.final_url);
  json.member("exit_code", static_cast<int>(result.code));
  if (!result.message.empty()) json.member("error", result.message);
  if (result.head) {
    json.member("status", http::code(result.head->status())).member("protocol", result.protocol);
    json.key("headers").begin_array();
    for (const http::Field& field : result.head->fields()) {
      json.begin_array().value(field.name).value(field.value).end();
    }
    json.end();
  }
  json.member("body_bytes", result.body_bytes).member("received_bytes", result.received_bytes);
  if (result.sent_bytes != 0) json.member("sent_bytes", result.sent_bytes);
  if (!result.file.empty()) json.member("file", result.file);
  if (result.has_body) json.member("body", result.body);
  json.member("early_data", result.early_data);
  if (result.redirects != 0) json.member("redirects", static_cast<std::uint64_t>(result.redirects));
  if (result.repeated) json.member("repeated", true);
  json.key("timings_ms").begin_object();
  const auto time = [&](const char* name, Duration at) {
    if (at > Duration::zero()) json.member(name, milliseconds(at));
  };
  time("resolved", result.timings.resolved);
  time("connected", result.timings.connected);
  time("first_byte", result.timings.first_byte);
  time("total", result.timings.total);
  json.end();
  if (result.connection != 0) json.member("connection", result.connection);
  json.end();
}

void write_connection(JsonWriter& json, const ClientConnectionInfo& connection) {
  const quic::HandshakeInfo& facts = connection.handshake;
  const quic::ConnectionStats& stats = connection.stats;
  json.begin_object().member("id", connection.id).member("origin", connection.origin);
  json.member("local", connection.path.local.to_string());
  json.member("remote", connection.path.remote.to_string());
  // QUIC has none before the server has answered.
  const bool none = !connection.over_tcp && facts.version == 0;
  json.member("version", none ? "" : version_name(facts.version)).member("alpn", facts.alpn);
  if (!facts.tls_version.empty()) json.member("tls_version", facts.tls_version);
  json.member("cipher", facts.cipher).member("group", facts.group);
  json.member("certificate", facts.peer_certificate_subject);
  json.member("resumed", facts.resumed).member("retried", facts.retried);
  json.member("early_data_accepted", facts.early_data_accepted);
  json.member("early_data_rejected", facts.early_data_rejected);
  json.member("requests", connection.requests);
  json.member("rtt_ms", milliseconds(stats.smoothed_rtt));
  json.member("min_rtt_ms", milliseconds(stats.min_rtt));
  json.member("packets_sent", stats.packets_sent);
  json.member("packets_received", stats.packets_received);
  if (!connection.over_tcp) json.member("packets_missing", stats.packets_missing);
  json.member("bytes_sent", stats.bytes_sent).member("bytes_received", stats.bytes_received);
  json.member("congestion_window", stats.congestion_window);
  json.member("max_udp_payload", static_cast<std::uint64_t>(stats.max_udp_payload));
  json.member("migrations", stats.migrations).member("key_updates", stats.key_updates);
  json.end();
}

}  // namespace tern::cli
