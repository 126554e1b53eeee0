#include "tools/tern/get_transfer.h"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>

#include "base/scope.h"
#include "gateway/within.h"
#include "http/decode.h"
#include "http/escape.h"
#include "http/uri.h"
#include "tools/tern/input_file.h"
#include "tools/tern/input_reader.h"
#include "tools/tern/terminal.h"

namespace tern::cli {
namespace {

constexpr std::size_t kUploadPiece = 128 * 1024;
/// Of -d @FILE, which is held in memory; --upload-file has no limit.
constexpr std::size_t kMaxBody = std::size_t{1} << 30;
constexpr std::size_t kMaxHeaderFile = 1024 * 1024;

/// curl's -d: "@file" is read without its line ends.
std::string data_of(const std::string& argument, bool binary) {
  if (!argument.starts_with('@')) return argument;
  Result<std::string> text = read_input(argument.substr(1), kMaxBody);
  if (!text) fail_with(ExitCode::cannot_read, text.error().detail);
  if (!binary) {
    std::erase_if(*text, [](char c) { return c == '\n' || c == '\r'; });
  }
  return *std::move(text);
}

std::string basic(std::string_view credentials) {
  std::string value = "Basic ";
  http::append_base64(value, as_bytes(credentials));
  return value;
}

/// Each -H, and each line of a -H @FILE.
std::vector<std::string> header_lines(const GetOptions& options) {
  std::vector<std::string> lines;
  for (const std::string& argument : options.fields) {
    if (!argument.starts_with('@')) {
      lines.push_back(argument);
      continue;
    }
    const Result<std::string> text = read_input(argument.substr(1), kMaxHeaderFile);
    if (!text) fail_with(ExitCode::cannot_read, "--header: " + text.error().detail);
    std::string_view rest = *text;
    while (!rest.empty()) {
      const std::size_t end = std::min(rest.find('\n'), rest.size());
      std::string_view line = rest.substr(0, end);
      rest.remove_prefix(std::min(end + 1, rest.size()));
      if (line.ends_with('\r')) line.remove_suffix(1);
      if (!line.empty()) lines.emplace_back(line);
    }
  }
  return lines;
}

/// Where the file goes: a URL that ends with '/' is a folder, as in curl, and gets its name.
std::string upload_url(const std::string& text, const std::string& file) {
  const auto url = http::Url::parse(text);
  if (!url || file.empty() || file == "-" || !url->path().ends_with('/')) return text;
  std::string name;
  http::append_percent_encoded(name, file.substr(file.rfind('/') + 1), "");
  if (url->query()) name += "?" + *url->query();
  const auto inside = url->resolve(name);
  return inside ? inside->to_string() : text;
}

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) noexcept : fd_(fd) {}
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  ~FileDescriptor() {
    if (fd_ > STDERR_FILENO) ::close(fd_);
  }
  int get() const noexcept { return fd_; }

 private:
  int fd_;
};

}  // namespace

RequestPlan RequestPlan::from(const GetOptions& options) {
  RequestPlan plan;
  plan.fields.add("user-agent", "tern/" TERN_VERSION);
  plan.fields.add("accept", "*/*");
  std::string body;
  bool has_body = false;
  for (const bool binary : {false, true}) {
    for (const std::string& argument : binary ? options.data_binary : options.data) {
      if (has_body) body += '&';
      body += data_of(argument, binary);
      has_body = true;
    }
  }
  if (has_body) plan.fields.set("content-type", "application/x-www-form-urlencoded");
  if (options.json_body) {
    if (has_body) fail_with(ExitCode::usage, "--json-body and --data exclude each other");
    body = data_of(*options.json_body, true);
    has_body = true;
    plan.fields.set("content-type", "application/json");
    plan.fields.set("accept", "application/json");
  }
  if (!options.upload.empty()) {
    if (has_body) fail_with(ExitCode::usage, "--upload-file and --data exclude each other");
    plan.upload = options.upload;
    struct stat facts{};
    if (plan.upload != "-") {
      if (::stat(plan.upload.c_str(), &facts) != 0 || ::access(plan.upload.c_str(), R_OK) != 0) {
        fail_with(ExitCode::cannot_read, Error::os(errno, "cannot read " + plan.upload).detail);
      }
      if (S_ISDIR(facts.st_mode)) {
        fail_with(ExitCode::cannot_read, Error::os(EISDIR, "cannot read " + plan.upload).detail);
      }
      // A file of /proc says that it is empty.
      if (S_ISREG(facts.st_mode) && facts.st_size > 0) {
        plan.upload_size = static_cast<std::uint64_t>(facts.st_size);
      }
    }
    if (plan.upload_size) {
      plan.fields.set("content-length", std::to_string(*plan.upload_size));
    }
  }
  if (options.head && (has_body || !options.upload.empty())) {
    fail_with(ExitCode::usage, "--head asks for no more than a head: it goes with no data to send");
  }
  if (options.compressed) {
    plan.fields.set("accept-encoding", http::ContentDecoder::kAcceptEncoding);
  }
  std::string cookies;
  for (const std::string& argument : options.cookies) {
    if (argument.find('=') == std::string::npos) continue;  // a file
    if (!http::Fields::valid_value(argument)) {
      fail_with(ExitCode::usage, "--cookie: it begins or ends with a blank, or holds a line end");
    }
    cookies += (cookies.empty() ? "" : "; ") + argument;
  }
  if (!cookies.empty()) plan.fields.set("cookie", cookies);
  const auto set = [&plan](const char* flag, const char* name, const std::string& value) {
    if (!http::Fields::valid_value(value)) {
      fail_with(ExitCode::usage,
                fmt::format("{}: it begins or ends with a blank, or holds a line end", flag));
    }
    plan.fields.set(name, value);
  };
  if (options.user_agent) {
    if (options.user_agent->empty()) {
      plan.fields.remove("user-agent");
    } else {
      set("--user-agent", "user-agent", *options.user_agent);
    }
  }
  if (!options.range.empty()) set("--range", "range", "bytes=" + options.range);
  if (!options.user.empty()) {
    if (options.user.find(':') == std::string::npos) {
      fail_with(ExitCode::usage, "--user: write it as USER:PASSWORD");
    }
    plan.fields.set("authorization", basic(options.user));
  }
  for (const std::string& line : header_lines(options)) {
    // As in curl, "name;" is a field without a value.
    const bool blank = line.ends_with(';') && line.find(':') == std::string::npos;
    const std::size_t colon = blank ? line.size() - 1 : line.find(':');
    std::string name = line.substr(0, colon);
    for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    if (colon == std::string::npos || !http::Fields::valid_name(name)) {
      fail_with(ExitCode::usage, fmt::format("header '{}': write it as 'name: value'", line));
    }
    const std::size_t start = line.find_first_not_of(" \t", colon + 1);
    const std::string value = start == std::string::npos ? std::string() : line.substr(start);
    if (!http::Fields::valid_value(value)) {
      fail_with(ExitCode::usage, fmt::format("header '{}': its value holds a line end", name));
    }
    const bool replaces = name == "authorization" || name == "range" || name == "user-agent" ||
                          name == "accept" || name == "content-type" || name == "accept-encoding" ||
                          name == "content-length" || name == "host";
    if (value.empty() && !blank) {
      plan.fields.remove(name);
    } else if (replaces) {
      plan.fields.set(name, value);
    } else {
      plan.fields.add(name, value);
    }
  }
  plan.method = options.method.empty() ? options.head           ? "HEAD"
                                         : !plan.upload.empty() ? "PUT"
                                         : has_body             ? "POST"
                                                                : "GET"
                                       : options.method;
  std::string method = plan.method;
  for (char& c : method) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (!http::Fields::valid_name(method)) {
    fail_with(ExitCode::usage, fmt::format("--request '{}' is no method", plan.method));
  }
  plan.body = Bytes::take(std::move(body));
  const auto length = plan.fields.find("content-length");
  if (length && plan.upload.empty() && *length != std::to_string(plan.body.size())) {
    fail_with(ExitCode::usage, fmt::format("header 'content-length: {}': the body has {} bytes",
                                           *length, plan.body.size()));
  }
  return plan;
}

std::optional<std::string> take_credentials(std::string& url) {
  const std::size_t scheme = url.find("://");
  const std::size_t begin = scheme == std::string::npos ? 0 : scheme + 3;
  const std::size_t end = std::min(url.find_first_of("/?#", begin), url.size());
  const std::size_t at = std::string_view(url).substr(0, end).rfind('@');
  if (at == std::string::npos || at < begin) return std::nullopt;
  std::string credentials;
  const std::string written = url.substr(begin, at - begin);
  if (!http::percent_decode(written, credentials)) credentials = written;
  if (credentials.find(':') == std::string::npos) credentials += ':';
  url.erase(begin, at + 1 - begin);
  return credentials;
}

Transfer::Transfer(Client& client, Runtime& runtime, const GetOptions& options,
                   const RequestPlan& plan, std::string url)
    : client_(client), runtime_(runtime), options_(options), plan_(plan), fields_(plan.fields) {
  const std::optional<std::string> credentials = take_credentials(url);
  if (credentials && !fields_.contains("authorization")) {
    fields_.set("authorization", basic(*credentials));
  }
  result_.url = std::move(url);
  result_.final_url = upload_url(result_.url, plan_.upload);
}

ClientRequest Transfer::make_request() const {
  ClientRequest request(result_.final_url);
  request.method(plan_.method);
  for (const http::Field& field : fields_) request.field(field.name, field.value);
  if (!plan_.upload.empty()) {
    request.streaming();
  } else {
    request.body(plan_.body);
  }
  return request;
}

Task<void> Transfer::run() {
  const Timestamp begun = runtime_.now();
  std::string what = fmt::format("{}: not complete within {}", result_.url,
                                 human_duration(options_.max_time.value_or(Duration::zero())));
  Task<Result<void>> attempting = attempt();
  Result<void> outcome = co_await within(runtime_, options_.max_time.value_or(Duration::zero()),
                                         std::move(what), std::move(attempting));
  result_.timings.total = runtime_.now() - begun;
  if (!outcome) fail_result(outcome.error());
  result_.file = output_.path() == "-" ? std::string() : output_.path();
  result_.body_bytes = output_.written();
  if (output_.all_kept()) {
    result_.body = output_.kept();
    result_.has_body = true;
  }
  done_ = true;
}

void Transfer::fail_result(const Error& error) {
  const ExitCode code = code_of(error);
  std::string message = describe(error);
  const auto url = http::Url::parse(result_.url);
  // A certificate's text names hosts, which need not be the one that was asked.
  const bool named =
      !url || (code != ExitCode::not_trusted && message.find(url->host()) != std::string::npos);
  const bool ours = trouble_ == Trouble::writing || trouble_ == Trouble::reading;
  if (!named && !ours) message = result_.url + ": " + message;
  set_failure(code, std::move(message));
}

ExitCode Transfer::code_of(const Error& error) const {
  switch (trouble_) {
    case Trouble::none: break;
    case Trouble::writing: return ExitCode::cannot_write;
    case Trouble::reading: return ExitCode::cannot_read;
    case Trouble::proxy: return ExitCode::proxy_refused;
    case Trouble::decoding: return ExitCode::bad_coding;
    case Trouble::redirects: return ExitCode::too_many_redirects;
  }
  const auto url = http::Url::parse(result_.final_url);
  if (!url && url.error().is(Code::unsupported)) return ExitCode::failed;  // its scheme
  if (url && error.is(Code::not_found) && proxy_options(options_).proxy_for(*url)) {
    return ExitCode::cannot_resolve_proxy;
  }
  bool over_tcp = false;
  bool open = false;
  for (const ClientConnectionInfo& connection : client_.connections()) {
    if (connection.id != result_.connection) continue;
    over_tcp = connection.over_tcp;
    open = connection.open;
  }
  return exit_code(error, stage_, over_tcp, open);
}

void Transfer::set_failure(ExitCode code, std::string message) {
  result_.code = code;
  result_.message = std::move(message);
  done_ = true;
}

Task<Result<void>> Transfer::attempt() {
  ClientRequest request = make_request();
  while (true) {
    bool redirected = false;
    Result<void> outcome = co_await attempt_once(request, redirected);
    if (outcome && redirected) {
      if (++result_.redirects > options_.max_redirects) {
        trouble_ = Trouble::redirects;
        co_return fail(Error::limit(fmt::format("more than {} redirects, the last to {}",
                                                options_.max_redirects, request.url())));
      }
      result_.final_url = request.url();
      tries_ = 1;
      continue;
    }
    if (outcome && !wait_) co_return outcome;
    if (!wait_ || !output_.restart()) co_return outcome;
    const Duration wait = *std::exchange(wait_, std::nullopt);
    ++tries_;
    result_.repeated = true;
    result_.received_bytes = 0;
    if (wait > Duration::zero()) co_await runtime_.sleep(wait);
  }
}

Task<Result<void>> Transfer::attempt_once(ClientRequest& request, bool& redirected) {
  ClientRequest copy = request;
  stage_ = Stage::connecting;
  trouble_ = Trouble::none;
  Result<ClientStream> stream = co_await client_.open(std::move(copy));
  if (!stream) {
    // No origin has been reached yet.
    if (stream.error().domain == Domain::http) trouble_ = Trouble::proxy;
    wait_ = may_repeat(request, stream.error(), nullptr);
    co_return fail(std::move(stream).error());
  }
  stage_ = Stage::answer;
  result_.connection = stream->connection();
  result_.early_data = stream->early_data();
  if (options_.verbose) {
    const auto url = http::Url::parse(request.url());
    print_request(stream->exchange().protocol(), request.method(), url->authority(), url->target(),
                  request.fields());
  }
  Scope sending(runtime_.ready());
  Result<void> outcome;
  if (plan_.upload.empty() || !request.is_streaming()) {
    result_.sent_bytes = plan_.body.size();
    outcome = co_await receive(*stream, request, redirected);
  } else {
    // The response may come before the upload is complete, and end it.
    sending.spawn(run_upload(stream->exchange()));
    outcome = co_await receive(*stream, request, redirected);
    result_.sent_bytes = stream->exchange().sent_bytes();
    if (upload_error_) outcome = fail(*upload_error_);
  }
  if (!outcome && (trouble_ == Trouble::none || trouble_ == Trouble::decoding)) {
    wait_ = may_repeat(request, outcome.error(), &*stream);
  }
  const ClientTimings timings = stream->timings();
  result_.timings.resolved = timings.resolved;
  result_.timings.connected = timings.connected;
  co_return outcome;
}

/// What is streamed cannot be sent again, and what was printed cannot be taken back.
std::optional<Duration> Transfer::may_repeat(const ClientRequest& request, const Error& error,
                                             const ClientStream* stream) {
  if (!plan_.upload.empty() || !output_.restartable()) return std::nullopt;
  return client_.may_repeat(request, tries_, error, stream);
}

Task<void> Transfer::run_upload(http::ClientExchange& exchange) {
  Result<void> sent = co_await send_upload(exchange);
  if (!sent && trouble_ == Trouble::reading) {
    upload_error_ = sent.error();
    exchange.abort();
  }
}

Task<Result<void>> Transfer::send_upload(http::ClientExchange& exchange) {
  // Of a FIFO that nobody writes yet, open waits without O_NONBLOCK.
  const FileDescriptor file(plan_.upload == "-"
                                ? STDIN_FILENO
                                : ::open(plan_.upload.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat facts{};
  if (file.get() < 0 || ::fstat(file.get(), &facts) != 0) {
    trouble_ = Trouble::reading;
    co_return fail(Error::os(errno, "cannot read " + plan_.upload));
  }
  Result<void> sent;
  if (S_ISREG(facts.st_mode)) {
    sent = co_await send_file(exchange, file.get());
  } else {
    sent = co_await send_stream(exchange, file.get());
  }
  if (!sent) co_return sent;
  Result<void> finished = co_await exchange.finish();
  co_return finished;
}

/// A disk answers at once.
Task<Result<void>> Transfer::send_file(http::ClientExchange& exchange, int file) {
  while (true) {
    int failure = 0;
    Bytes piece = Bytes::make(kUploadPiece, [&](MutableBytes space) -> std::size_t {
      ssize_t count = 0;
      do {
        count = ::read(file, space.data(), space.size());
      } while (count < 0 && errno == EINTR);
      if (count < 0) failure = errno;
      return count < 0 ? 0 : static_cast<std::size_t>(count);
    });
    if (failure != 0) {
      trouble_ = Trouble::reading;
      co_return fail(Error::os(failure, "cannot read " + plan_.upload));
    }
    if (piece.empty()) co_return Result<void>();
    Result<void> written = co_await exchange.write(std::move(piece));
    if (!written) co_return written;
  }
}

/// A pipe or a terminal takes its time; meanwhile the connection lives, and the answer is read.
Task<Result<void>> Transfer::send_stream(http::ClientExchange& exchange, int file) {
  InputReader input(runtime_, InputReader::Pieces::blocks, file);
  while (true) {
    std::optional<std::string> piece = co_await input.next();
    if (!piece) break;
    Result<void> written = co_await exchange.write(Bytes::take(std::move(*piece)));
    if (!written) co_return written;
  }
  if (input.failure() == 0) co_return Result<void>();
  trouble_ = Trouble::reading;
  const std::string name = plan_.upload == "-" ? "stdin" : plan_.upload;
  co_return fail(Error::os(input.failure(), "cannot read " + name));
}

Task<Result<void>> Transfer::receive(ClientStream& stream, ClientRequest& request,
                                     bool& redirected) {
  http::ClientExchange& exchange = stream.exchange();
  Result<http::Response> head = co_await stream.response();
  if (!head) co_return fail(std::move(head).error());
  stage_ = Stage::body;
  result_.timings.first_byte = runtime_.now() - stream.begun();
  result_.protocol = std::string(exchange.protocol());
  for (const http::Response& interim : exchange.interim()) {
    if (options_.verbose) print_head(stderr, "< ", result_.protocol, interim);
  }
  if (options_.verbose) print_head(stderr, "< ", result_.protocol, *head);
  result_.head = *head;
  const bool show_head = options_.include || options_.head;
  if (options_.follow) {
    const Result<bool> followed = request.redirect(*head);
    if (!followed) co_return fail(followed.error());
    if (*followed) {
      if (show_head) {
        const Result<void> shown = write_head(result_.protocol, *head);
        if (!shown) co_return shown;
      }
      redirected = true;
      exchange.stop_reading();
      co_return Result<void>();
    }
  }
  if (plan_.upload.empty() && output_.restartable()) {
    wait_ = client_.may_repeat(request, tries_, *head, stream);
    if (wait_) {
      exchange.stop_reading();
      co_return Result<void>();
    }
  }
  const int status = http::code(head->status());
  if (options_.fail && status >= 400) {
    exchange.stop_reading();
    co_return fail(Error(
        Domain::http, static_cast<std::uint64_t>(status),
        fmt::format("{} answered {} {}", result_.final_url, status, http::reason(head->status())),
        Origin::remote));
  }
  if (show_head) {
    const Result<void> shown = write_head(result_.protocol, *head);
    if (!shown) {
      exchange.abort();
      co_return shown;
    }
  }
  Result<void> received = co_await receive_body(exchange, *head);
  co_return received;
}

Result<void> Transfer::write_head(std::string_view protocol, const http::Response& head) {
  if (options_.json) return {};
  Result<void> written = output_.write_head(protocol, head);
  if (!written) trouble_ = Trouble::writing;
  return written;
}

Task<Result<void>> Transfer::drain() {
  Result<void> drained = co_await output_.drain(runtime_);
  if (!drained) trouble_ = Trouble::writing;
  co_return drained;
}

Task<Result<void>> Transfer::receive_body(http::ClientExchange& exchange,
                                          const http::Response& head) {
  if (const auto length = head.fields().find("content-length")) {
    std::uint64_t size = 0;
    const auto [end, error] =
        std::from_chars(length->data(), length->data() + length->size(), size);
    if (error == std::errc() && end == length->data() + length->size()) expected_ = size;
  }
  std::optional<http::ContentDecoder> decoder;
  if (options_.compressed) {
    const auto coding = head.fields().joined("content-encoding");
    if (coding && plan_.method != "HEAD") {
      auto made = http::ContentDecoder::make(*coding);
      if (!made) {
        trouble_ = Trouble::decoding;
        co_return fail(std::move(made).error());
      }
      decoder.emplace(std::move(*made));
    }
  }
  const http::ContentDecoder::Sink sink = [this](ByteView bytes) {
    Result<void> written = output_.write(bytes);
    if (!written) trouble_ = Trouble::writing;
    return written;
  };
  while (true) {
    Result<Bytes> piece = co_await exchange.read();
    if (!piece) co_return fail(std::move(piece).error());
    if (piece->empty()) break;
    result_.received_bytes += piece->size();
    const Result<void> taken = decoder ? decoder->decode(*piece, sink) : sink(*piece);
    if (!taken) {
      if (trouble_ == Trouble::none) trouble_ = Trouble::decoding;
      exchange.abort();
      co_return taken;
    }
    if (on_bytes) on_bytes(piece->size());
    if (output_.waits()) {
      Result<void> drained = co_await drain();
      if (!drained) {
        exchange.abort();
        co_return drained;
      }
    }
  }
  if (decoder) {
    const Result<void> complete = decoder->finish();
    if (!complete) {
      if (trouble_ == Trouble::none) trouble_ = Trouble::decoding;
      co_return complete;
    }
  }
  if (options_.verbose) print_trailers(stderr, "< ", exchange.trailers());
  if (output_.waits()) {
    Result<void> drained = co_await drain();
    if (!drained) co_return drained;
  }
  const Result<void> finished = output_.finish();
  if (!finished) trouble_ = Trouble::writing;
  co_return finished;
}

}  // namespace tern::cli
