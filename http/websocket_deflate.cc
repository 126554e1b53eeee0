#include "http/websocket_deflate.h"

#include <algorithm>
#include <array>
#include <vector>
#include <zlib.h>

#include "base/ascii.h"
#include "base/check.h"
#include "http/escape.h"
#include "http/fields.h"

namespace tern::http {

namespace {

constexpr std::string_view kName = "permessage-deflate";
/// What ends each message's last block and is not sent (RFC 7692 §7.2.1).
constexpr std::array<std::uint8_t, 4> kTail = {0x00, 0x00, 0xff, 0xff};
/// zlib refuses 8 for raw deflate.
constexpr int kMinDeflateBits = 9;

// ---- sec-websocket-extensions -------------------------------------------------------------------

struct Parameter {
  std::string name;
  std::optional<std::string> value;
};
struct Extension {
  std::string name;
  std::vector<Parameter> parameters;
};

bool is_token(std::string_view text) { return Fields::valid_name(ascii::lower_case(text)); }

/// Reads `extension *( "," extension )`, RFC 6455 §9.1.
class ExtensionReader {
 public:
  static constexpr std::size_t kMaxExtensions = 16;
  static constexpr std::size_t kMaxParameters = 16;

  explicit ExtensionReader(std::string_view text) noexcept : text_(text) {}

  std::optional<std::vector<Extension>> read() {
    std::vector<Extension> list;
    do {
      skip_blanks();
      // Empty elements are allowed in lists (RFC 9110 §5.6.1).
      if (at_ == text_.size() || text_[at_] == ',') continue;
      if (list.size() == kMaxExtensions) return std::nullopt;
      Extension extension;
      if (!token(extension.name)) return std::nullopt;
      while (eat(';')) {
        if (extension.parameters.size() == kMaxParameters) return std::nullopt;
        Parameter parameter;
        if (!token(parameter.name)) return std::nullopt;
        if (eat('=') && !value(parameter.value.emplace())) return std::nullopt;
        extension.parameters.push_back(std::move(parameter));
      }
      list.push_back(std::move(extension));
    } while (eat(','));
    if (at_ != text_.size()) return std::nullopt;
    return list;
  }

 private:
  void skip_blanks() noexcept {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t')) ++at_;
  }
  bool eat(char wanted) noexcept {
    skip_blanks();
    if (at_ == text_.size() || text_[at_] != wanted) return false;
    ++at_;
    return true;
  }
  bool token(std::string& out) {
    skip_blanks();
    const std::size_t end = std::min(text_.find_first_of(" \t,;=\"", at_), text_.size());
    out = text_.substr(at_, end - at_);
    at_ = end;
    return !out.empty() && is_token(out);
  }
  /// A token, or a quoted string that holds one.
  bool value(std::string& out) {
    skip_blanks();
    if (at_ == text_.size() || text_[at_] != '"') return token(out);
    for (++at_; at_ < text_.size() && text_[at_] != '"'; ++at_) {
      if (text_[at_] == '\\' && ++at_ == text_.size()) return false;
      out.push_back(text_[at_]);
    }
    if (at_ == text_.size()) return false;
    ++at_;
    return !out.empty() && is_token(out);
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

/// 8 to 15 without a leading zero (RFC 7692 §7.1.2).
std::optional<int> window_bits(const std::optional<std::string>& value) {
  if (!value) return std::nullopt;
  if (value->size() == 1 && ((*value)[0] == '8' || (*value)[0] == '9')) return (*value)[0] - '0';
  if (value->size() == 2 && (*value)[0] == '1' && (*value)[1] >= '0' && (*value)[1] <= '5') {
    return 10 + ((*value)[1] - '0');
  }
  return std::nullopt;
}

/// The four parameters, each at most once.
struct Parameters {
  bool server_no_context_takeover = false;
  bool client_no_context_takeover = false;
  std::optional<int> server_max_window_bits;
  bool client_max_window_bits = false;
  std::optional<int> client_bits;

  /// Nothing when a parameter is unknown, there twice or has a value it must not have. `offer`:
  /// client_max_window_bits may be without a value.
  static std::optional<Parameters> read(const Extension& extension, bool offer) {
    Parameters out;
    for (const Parameter& parameter : extension.parameters) {
      if (parameter.name == "server_no_context_takeover") {
        if (parameter.value || std::exchange(out.server_no_context_takeover, true)) return {};
      } else if (parameter.name == "client_no_context_takeover") {
        if (parameter.value || std::exchange(out.client_no_context_takeover, true)) return {};
      } else if (parameter.name == "server_max_window_bits") {
        if (out.server_max_window_bits) return {};
        out.server_max_window_bits = window_bits(parameter.value);
        if (!out.server_max_window_bits) return {};
      } else if (parameter.name == "client_max_window_bits") {
        if (std::exchange(out.client_max_window_bits, true)) return {};
        if (!parameter.value && offer) continue;
        out.client_bits = window_bits(parameter.value);
        if (!out.client_bits) return {};
      } else {
        return {};
      }
    }
    return out;
  }
};

}  // namespace

Result<std::optional<WebSocketDeflateAnswer>> accept_deflate(
    std::string_view offers, const WebSocketDeflateOptions& options) {
  const auto extensions = ExtensionReader(offers).read();
  if (!extensions) {
    return fail(Error(Code::invalid, "sec-websocket-extensions \"" + escaped(offers, 128) + "\"",
                      Origin::remote));
  }
  if (!options.enabled()) return std::nullopt;
  for (const Extension& extension : *extensions) {
    if (extension.name != kName) continue;
    const auto offer = Parameters::read(extension, true);
    if (!offer) continue;  // declined, perhaps the next one will do (§5.1)
    WebSocketDeflateAnswer answer;
    WebSocketDeflateAgreement& agreed = answer.agreement;
    answer.field = kName;
    agreed.send_takeover = options.context_takeover() && !offer->server_no_context_takeover;
    if (!agreed.send_takeover) answer.field += "; server_no_context_takeover";
    agreed.receive_takeover = options.context_takeover() && !offer->client_no_context_takeover;
    if (!agreed.receive_takeover) answer.field += "; client_no_context_takeover";
    agreed.send_window_bits =
        std::min(options.window_bits(), offer->server_max_window_bits.value_or(15));
    if (agreed.send_window_bits < 15 || offer->server_max_window_bits) {
      answer.field += "; server_max_window_bits=" + std::to_string(agreed.send_window_bits);
    }
    if (offer->client_max_window_bits) {
      agreed.receive_window_bits =
          std::min(options.peer_window_bits(), offer->client_bits.value_or(15));
      if (agreed.receive_window_bits < 15) {
        answer.field += "; client_max_window_bits=" + std::to_string(agreed.receive_window_bits);
      }
    }
    return answer;
  }
  return std::nullopt;
}

std::string offer_deflate(const WebSocketDeflateOptions& options) {
  std::string offer(kName);
  if (!options.context_takeover()) {
    offer += "; server_no_context_takeover; client_no_context_takeover";
  }
  if (options.peer_window_bits() < 15) {
    offer += "; server_max_window_bits=" + std::to_string(options.peer_window_bits());
  }
  offer += "; client_max_window_bits";
  if (options.window_bits() < 15) offer += "=" + std::to_string(options.window_bits());
  return offer;
}

Result<std::optional<WebSocketDeflateAgreement>> confirm_deflate(
    std::string_view answer, const WebSocketDeflateOptions& options) {
  const auto refuse = [&](std::string_view why) {
    return fail(
        Error(Code::invalid,
              "sec-websocket-extensions \"" + escaped(answer, 128) + "\": " + std::string(why),
              Origin::remote));
  };
  const auto extensions = ExtensionReader(answer).read();
  if (!extensions) return refuse("malformed");
  if (extensions->empty()) return std::nullopt;
  if (extensions->size() > 1 || extensions->front().name != kName || !options.enabled()) {
    return refuse("more than was offered");
  }
  const auto given = Parameters::read(extensions->front(), false);
  if (!given) return refuse("malformed parameters");
  const int bits = given->server_max_window_bits.value_or(15);
  if (bits > options.peer_window_bits()) return refuse("a larger window than was offered");
  WebSocketDeflateAgreement agreed;
  agreed.send_takeover = options.context_takeover() && !given->client_no_context_takeover;
  // Asked for or not: Tornado, for one, overlooks parameters without a value. It costs a window.
  agreed.receive_takeover = !given->server_no_context_takeover;
  agreed.send_window_bits = std::min(options.window_bits(), given->client_bits.value_or(15));
  agreed.receive_window_bits = bits;
  return agreed;
}

// ---- compressing --------------------------------------------------------------------------------

struct WebSocketDeflater::Stream {
  Stream(int stream_bits, int stream_level) : bits(stream_bits), level(stream_level) {
    TERN_CHECK(deflateInit2(&z, level, Z_DEFLATED, -bits, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  ~Stream() { deflateEnd(&z); }

  z_stream z{};
  int bits;
  int level;
};

struct WebSocketInflater::Stream {
  Stream() { TERN_CHECK(inflateInit2(&z, -15) == Z_OK); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  ~Stream() { inflateEnd(&z); }

  z_stream z{};
  std::array<std::uint8_t, 16 * 1024> out;
};

namespace {

/// Streams that no message is using, of this thread.
constexpr std::size_t kMaxSpare = 4;

template <typename Stream>
std::vector<std::unique_ptr<Stream>>& spare() {
  thread_local std::vector<std::unique_ptr<Stream>> streams;
  return streams;
}

template <typename Stream>
void give_back(std::unique_ptr<Stream> stream) {
  if (spare<Stream>().size() < kMaxSpare) spare<Stream>().push_back(std::move(stream));
}

}  // namespace

WebSocketDeflater::WebSocketDeflater(int window_bits, int level, bool takeover) noexcept
    : window_bits_(std::max(window_bits, kMinDeflateBits)), level_(level), takeover_(takeover) {}
WebSocketDeflater::WebSocketDeflater(WebSocketDeflater&&) noexcept = default;
WebSocketDeflater& WebSocketDeflater::operator=(WebSocketDeflater&&) noexcept = default;
WebSocketDeflater::~WebSocketDeflater() = default;

void WebSocketDeflater::deflate(ByteView piece, bool last, std::string& out) {
  if (stream_ == nullptr) {
    auto& streams = spare<Stream>();
    const auto fits = [this](const auto& stream) {
      return stream->bits == window_bits_ && stream->level == level_;
    };
    const auto found =
        takeover_ ? streams.end() : std::find_if(streams.begin(), streams.end(), fits);
    if (found != streams.end()) {
      stream_ = std::move(*found);
      streams.erase(found);
    } else {
      stream_ = std::make_unique<Stream>(window_bits_, level_);
    }
  }
  z_stream& z = stream_->z;
  const std::size_t before = out.size();
  do {
    // zlib counts in 32 bits.
    const std::size_t part = std::min<std::size_t>(piece.size(), std::size_t{1} << 30);
    z.next_in = const_cast<Bytef*>(piece.data());  // zlib does not write there
    z.avail_in = static_cast<uInt>(part);
    piece = piece.subspan(part);
    const bool ends = last && piece.empty();
    const int flush = ends ? Z_SYNC_FLUSH : Z_NO_FLUSH;
    do {
      const std::size_t used = out.size();
      out.resize(used + std::max<std::size_t>(256, z.avail_in / 2 + 64));
      z.next_out = reinterpret_cast<Bytef*>(out.data() + used);
      z.avail_out = static_cast<uInt>(out.size() - used);
      const int result = ::deflate(&z, flush);
      TERN_CHECK(result == Z_OK || result == Z_BUF_ERROR);  // the latter: nothing to do
      out.erase(out.size() - z.avail_out);
    } while (z.avail_out == 0);
  } while (!piece.empty());
  if (!last) return;
  if (out.size() - before >= kTail.size() &&
      std::equal(kTail.begin(), kTail.end(), as_bytes(out).end() - kTail.size())) {
    out.resize(out.size() - kTail.size());
  }
  // An empty message, when nothing was flushed (§7.2.3.6).
  if (out.size() == before) out.push_back('\0');
  if (takeover_) return;
  TERN_CHECK(deflateReset(&z) == Z_OK);
  give_back(std::move(stream_));
}

// ---- decompressing ------------------------------------------------------------------------------

WebSocketInflater::WebSocketInflater(int window_bits, bool takeover) noexcept
    : window_bits_(window_bits), takeover_(takeover) {}
WebSocketInflater::WebSocketInflater(WebSocketInflater&&) noexcept = default;
WebSocketInflater& WebSocketInflater::operator=(WebSocketInflater&&) noexcept = default;
WebSocketInflater::~WebSocketInflater() = default;

void WebSocketInflater::feed(ByteView piece, bool last) {
  input_ = piece;
  last_ = last;
  tail_ = 0;
  complete_ = false;
  if (stream_ != nullptr) return;
  auto& streams = spare<Stream>();
  if (streams.empty()) {
    stream_ = std::make_unique<Stream>();
  } else {
    stream_ = std::move(streams.back());
    streams.pop_back();
  }
  // The pool's may have had another window; zlib allocates it when it is used first.
  TERN_CHECK(inflateReset2(&stream_->z, -window_bits_) == Z_OK);
}

Result<std::optional<ByteView>> WebSocketInflater::next() {
  if (stream_ == nullptr) return std::nullopt;
  if (bad_)
    return fail(Error(Code::invalid, "what should inflate is no deflate data", Origin::remote));
  z_stream& z = stream_->z;
  z.next_out = stream_->out.data();
  z.avail_out = static_cast<uInt>(stream_->out.size());
  while (z.avail_out > 0) {
    ByteView given = input_;
    const bool in_tail = input_.empty();
    if (in_tail) {
      if (!last_) break;
      given = ByteView(kTail).subspan(tail_);
    }
    const std::size_t part = std::min<std::size_t>(given.size(), std::size_t{1} << 30);
    z.next_in = const_cast<Bytef*>(given.data());  // zlib does not write there
    z.avail_in = static_cast<uInt>(part);
    const uInt room = z.avail_out;
    const int result = inflate(&z, Z_SYNC_FLUSH);
    const std::size_t used = part - z.avail_in;
    if (in_tail) {
      tail_ += used;
      // zlib says so when it stops between two blocks; asked again it would not.
      if (used > 0) complete_ = (z.data_type & 128) != 0;
    } else {
      input_ = input_.subspan(used);
    }
    if (result == Z_STREAM_END) {
      // A block with BFINAL set; what follows, the tail at least, is a stream of its own
      // (§7.2.3.4).
      TERN_CHECK(inflateReset(&z) == Z_OK);
    } else if (result != Z_OK && result != Z_BUF_ERROR) {
      // What came out before is handed on first, so that limits see it.
      bad_ = z.avail_out < stream_->out.size();
      if (bad_) break;
      return fail(Error(Code::invalid,
                        "what should inflate is no deflate data: " +
                            std::string(z.msg != nullptr ? z.msg : "cut short"),
                        Origin::remote));
    }
    if (used == 0 && room == z.avail_out) break;
    if (in_tail && tail_ == kTail.size() && z.avail_out > 0) break;
  }
  const std::size_t size = stream_->out.size() - z.avail_out;
  if (size > 0) return ByteView(stream_->out).first(size);
  if (last_) {
    last_ = false;
    if (!complete_) {
      return fail(Error(Code::invalid, "a compressed message is cut short", Origin::remote));
    }
    if (!takeover_) give_back(std::move(stream_));
  }
  return std::nullopt;
}

}  // namespace tern::http
