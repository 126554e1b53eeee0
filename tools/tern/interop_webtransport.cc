#include "tools/tern/interop_webtransport.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include "http/uri.h"
#include "tools/tern/terminal.h"

namespace tern::cli {
namespace {

using webtransport::Session;
using webtransport::Stream;

constexpr std::string_view kGet = "GET ";
constexpr std::string_view kPush = "PUSH ";

constexpr std::array kWebTransportCases{
    WebTransportCase{.name = "handshake"},
    WebTransportCase{.name = "transfer"},
    WebTransportCase{.name = "transfer-unidirectional-receive",
                     .asks = WebTransportExchange::unidirectional,
                     .server = false},
    WebTransportCase{.name = "transfer-unidirectional-send",
                     .asks = WebTransportExchange::unidirectional,
                     .client = false},
    WebTransportCase{.name = "transfer-bidirectional-receive",
                     .asks = WebTransportExchange::bidirectional,
                     .server = false},
    WebTransportCase{.name = "transfer-bidirectional-send",
                     .asks = WebTransportExchange::bidirectional,
                     .client = false},
    WebTransportCase{.name = "transfer-datagram-receive",
                     .asks = WebTransportExchange::datagram,
                     .server = false},
    WebTransportCase{
        .name = "transfer-datagram-send", .asks = WebTransportExchange::datagram, .client = false},
};

/// A name within a folder, and no way out of it.
bool is_plain(std::string_view name) noexcept {
  return !name.empty() && name.front() != '.' && name.size() < 256 &&
         name.find_first_of(std::string_view("/\\\0", 3)) == std::string_view::npos;
}

std::string request(std::string_view file) { return std::string(kGet).append(file); }

std::string pushed(std::string_view file, std::string_view bytes) {
  return std::string(kPush).append(file).append("\n").append(bytes);
}

}  // namespace

const WebTransportCase* webtransport_case(std::string_view name, bool server) noexcept {
  const auto* const found = std::find_if(
      kWebTransportCases.begin(), kWebTransportCases.end(), [&](const WebTransportCase& each) {
        return each.name == name && (server ? each.server : each.client);
      });
  return found == kWebTransportCases.end() ? nullptr : found;
}

Result<std::map<std::string, std::vector<std::string>>> webtransport_requests(
    const std::vector<std::string>& requests) {
  std::map<std::string, std::vector<std::string>> all;
  for (const std::string& text : requests) {
    std::string path = text;
    if (text.find("://") != std::string::npos) {
      auto url = http::Url::parse(text);
      if (!url) return tern::fail(std::move(url).error());
      path = url->target();
    }
    if (!path.starts_with('/')) path.insert(path.begin(), '/');
    const std::size_t slash = path.find('/', 1);
    const std::string endpoint = path.substr(1, slash == std::string::npos ? slash : slash - 1);
    if (!is_plain(endpoint)) {
      return tern::fail(Error::invalid(printable(text) + " names no endpoint"));
    }
    std::vector<std::string>& files = all[endpoint];
    if (slash == std::string::npos || slash + 1 == path.size()) continue;
    std::string file = path.substr(slash + 1);
    if (!is_plain(file)) return tern::fail(Error::invalid(printable(text) + " names no file"));
    files.push_back(std::move(file));
  }
  return all;
}

void note_protocol(const InteropEndpointOptions& options, std::string_view protocol) {
  std::ofstream file(options.downloads + "/negotiated_protocol.txt",
                     std::ios::binary | std::ios::trunc);
  file << protocol;
}

WebTransportFiles::WebTransportFiles(Session& session, const InteropEndpointOptions& options,
                                     std::string endpoint, WebTransportExchange asks,
                                     std::vector<std::string> wanted)
    : session_(session),
      options_(options),
      endpoint_(std::move(endpoint)),
      asks_(asks),
      wanted_(std::make_move_iterator(wanted.begin()), std::make_move_iterator(wanted.end())),
      sendable_(session.runtime()),
      changed_(session.runtime()),
      scope_(session.runtime().ready()) {}

Task<void> WebTransportFiles::run() {
  const bool asking = !wanted_.empty();
  progressed_ = session_.runtime().now();
  scope_.spawn(accept_unidirectional());
  scope_.spawn(accept_bidirectional());
  scope_.spawn(receive_datagrams());
  scope_.spawn(send_datagrams());
  for (const std::string& file : wanted_) {
    if (asks_ == WebTransportExchange::datagram) {
      datagrams_.push(request(file));
    } else {
      scope_.spawn(ask(file));
    }
  }
  sendable_.notify();
  if (asks_ == WebTransportExchange::datagram) scope_.spawn(ask_again());
  if (!asking) {
    co_await session_.wait_until_ended();
    co_return;
  }
  while (!complete() && failure_.empty() && !session_.ended()) co_await changed_.wait();
  if (!complete()) fail(fmt::format("{} files are missing", wanted_.size()));
}

// ---- asking -------------------------------------------------------------------------------------

Task<void> WebTransportFiles::ask(std::string file) {
  const bool both_ways = asks_ == WebTransportExchange::bidirectional;
  Result<std::unique_ptr<Stream>> stream = tern::fail(Error::closed());
  if (both_ways) {
    stream = co_await session_.open_bidirectional();
  } else {
    stream = co_await session_.open_unidirectional();
  }
  if (!stream) co_return fail(stream.error().detail);
  Bytes line = Bytes::take(request(file));
  const Result<void> sent = co_await (*stream)->finish(std::move(line));
  if (!sent) co_return fail(sent.error().detail);
  if (!both_ways) co_return;
  const Result<std::string> bytes = co_await (*stream)->read_all(kMaxFile);
  if (!bytes) co_return fail(file + ": " + bytes.error().detail);
  keep(file, *bytes);
}

Task<void> WebTransportFiles::ask_again() {
  while (!complete()) {
    co_await session_.runtime().sleep(kAgain);
    if (session_.runtime().now() - progressed_ < kAgain) continue;
    for (const std::string& file : wanted_) datagrams_.push(request(file));
    sendable_.notify();
  }
}

// ---- answering ----------------------------------------------------------------------------------

Task<void> WebTransportFiles::accept_bidirectional() {
  while (auto stream = co_await session_.accept_bidirectional()) {
    scope_.spawn(answer(std::move(stream)));
  }
}

Task<void> WebTransportFiles::answer(std::unique_ptr<Stream> stream) {
  const Result<std::string> text = co_await stream->read_all(4096);
  if (!text || !text->starts_with(kGet)) co_return;
  std::optional<std::string> bytes = read(text->substr(kGet.size()));
  if (!bytes) co_return;  // reset
  Bytes body = Bytes::take(std::move(*bytes));
  co_await stream->finish(std::move(body));
}

Task<void> WebTransportFiles::accept_unidirectional() {
  while (auto stream = co_await session_.accept_unidirectional()) {
    scope_.spawn(take_push(std::move(stream)));
  }
}

Task<void> WebTransportFiles::take_push(std::unique_ptr<Stream> stream) {
  const Result<std::string> text = co_await stream->read_all(kMaxFile);
  if (!text) co_return;
  if (text->starts_with(kGet)) {
    scope_.spawn(push(text->substr(kGet.size())));
  } else {
    take_push(std::string_view(*text));
  }
}

Task<void> WebTransportFiles::push(std::string file) {
  const std::optional<std::string> bytes = read(file);
  if (!bytes) co_return;
  const Result<std::unique_ptr<Stream>> stream = co_await session_.open_unidirectional();
  if (!stream) co_return;
  Bytes body = Bytes::take(pushed(file, *bytes));
  co_await (*stream)->finish(std::move(body));
}

Task<void> WebTransportFiles::receive_datagrams() {
  for (;;) {
    const std::optional<Bytes> datagram = co_await session_.receive_datagram();
    if (!datagram) co_return;
    const std::string_view text = datagram->text();
    if (!text.starts_with(kGet)) {
      take_push(text);
      continue;
    }
    const std::string file(text.substr(kGet.size()));
    const std::optional<std::string> bytes = read(file);
    if (!bytes) continue;
    datagrams_.push(pushed(file, *bytes));
    sendable_.notify();
  }
}

Task<void> WebTransportFiles::send_datagrams() {
  for (;;) {
    if (datagrams_.empty()) {
      co_await sendable_.wait();
      continue;
    }
    Bytes datagram = Bytes::take(datagrams_.pop());
    session_.send_datagram(std::move(datagram));
    co_await session_.runtime().sleep(kPace);
  }
}

// ---- files --------------------------------------------------------------------------------------

std::optional<std::string> WebTransportFiles::read(std::string_view file) {
  if (!is_plain(file)) return std::nullopt;
  const std::string path = fmt::format("{}/{}/{}", options_.www, endpoint_, file);
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  if (error || size > kMaxFile) return std::nullopt;
  std::ifstream stream(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(stream), {});
}

bool WebTransportFiles::take_push(std::string_view text) {
  const std::size_t line = text.find('\n');
  if (!text.starts_with(kPush) || line == std::string_view::npos) return false;
  keep(text.substr(kPush.size(), line - kPush.size()), text.substr(line + 1));
  return true;
}

/// Nobody gets to write what was not asked for.
void WebTransportFiles::keep(std::string_view file, std::string_view bytes) {
  const auto wanted = wanted_.find(file);
  if (wanted == wanted_.end()) return;
  const std::filesystem::path folder = options_.downloads + "/" + endpoint_;
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  std::ofstream stream(folder / std::string(file), std::ios::binary | std::ios::trunc);
  stream.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  stream.close();
  if (!stream) return fail(fmt::format("cannot write {}", (folder / std::string(file)).string()));
  wanted_.erase(wanted);
  progressed_ = session_.runtime().now();
  if (complete()) changed_.notify();
}

void WebTransportFiles::fail(std::string why) {
  if (failure_.empty()) failure_ = std::move(why);
  changed_.notify();
}

}  // namespace tern::cli
