#include "http/fallback/http1_parser.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include <boost/beast/core/detail/base64.hpp>
#include <boost/beast/core/detail/sha1.hpp>
#include <boost/beast/http/basic_parser.hpp>

#include "base/ascii.h"
#include "base/check.h"
#include "http/message.h"

namespace tern::fallback {

namespace {

namespace beast = boost::beast;

std::string_view view_of(beast::string_view text) noexcept { return {text.data(), text.size()}; }

/// Newer versions of Beast have an error of its own for several that differ.
template <typename Kind>
constexpr bool is_about_content_length(Kind kind) noexcept {
  if constexpr (requires { Kind::multiple_content_length; }) {
    if (kind == Kind::multiple_content_length) return true;
  }
  return kind == Kind::bad_content_length;
}

/// What is wrong, for people.
const char* reason_of(beast::error_code error) noexcept {
  using Kind = beast::http::error;
  const Kind kind = static_cast<Kind>(error.value());
  if (is_about_content_length(kind)) {
    return "a content-length that is no number, or several that differ, or one beside "
           "transfer-encoding";
  }
  switch (kind) {
    case Kind::bad_method: return "a method that is none";
    case Kind::bad_target: return "a request target that is none";
    case Kind::bad_version: return "a version of HTTP that is none";
    case Kind::bad_status: return "a status that is no number of three digits";
    case Kind::bad_reason: return "a reason phrase with control characters";
    case Kind::bad_field: return "a field's name that is no token";
    case Kind::bad_value: return "a field's value with control characters";
    case Kind::bad_transfer_encoding: return "a transfer-encoding beside content-length";
    case Kind::bad_chunk: return "a chunk that is none";
    default: return "a message that breaks the grammar";
  }
}

/// Load balancers that are told to put it first (haproxy's send-proxy), in its two versions.
bool proxy_protocol(std::string_view begin) noexcept {
  using namespace std::string_view_literals;
  return begin.starts_with("PROXY ") || begin.starts_with("\r\n\r\n\0"sv);
}

/// A status line without a reason phrase ends in a space (RFC 9112 §4), which some servers forget.
constexpr std::size_t kStatusEnd = std::string_view("HTTP/1.1 200").size();
bool forgot_space(std::string_view head) noexcept {
  return head.size() > kStatusEnd && head[kStatusEnd] == '\r';
}

}  // namespace

// ---- Beast --------------------------------------------------------------------------------------

/// Beast's parser for one message; it writes into the Http1Parser.
class Http1Parser::Beast {
 public:
  explicit Beast(Http1Parser& out) noexcept : out_(out) {}
  virtual ~Beast() = default;
  /// Blank, for the next message.
  virtual void reset(bool no_body) = 0;
  /// A whole head, a whole chunk header, or a piece of a body. Returns an error's text or nullptr.
  virtual const char* put(ByteView bytes) = 0;
  virtual bool keep_alive() const = 0;
  virtual bool upgrade() const = 0;

  // What the framing fields said.
  unsigned lengths = 0;
  unsigned codings = 0;
  bool bad_length = false;
  bool only_chunked = false;    // the one coding is chunked
  bool ends_chunked = false;    // the last one is
  bool chunked_before = false;  // one before that is

 protected:
  void field(beast::string_view name, beast::string_view raw_value) {
    const std::string_view value = ascii::trimmed(view_of(raw_value));
    http::Fields& fields = in_trailers_ ? out_.trailers_ : out_.head_.fields;
    fields.add(view_of(name), value);
    if (in_trailers_) return;
    if (ascii::same(view_of(name), "content-length")) {
      ++lengths;
      const auto length = http::parse_content_length(value);
      if (length) out_.head_.length = *length;
      bad_length = bad_length || !length;
    } else if (ascii::same(view_of(name), "transfer-encoding")) {
      ++codings;
      only_chunked = codings == 1 && ascii::same(value, "chunked");
      for (std::string_view rest = value;;) {
        const std::size_t comma = rest.find(',');
        // RFC 9112 §6.1: chunked comes last, and once.
        chunked_before = chunked_before || ends_chunked;
        ends_chunked = ascii::same(ascii::trimmed(rest.substr(0, comma)), "chunked");
        if (comma == std::string_view::npos) break;
        rest.remove_prefix(comma + 1);
      }
    }
  }
  void clear() noexcept {
    lengths = codings = 0;
    bad_length = only_chunked = ends_chunked = chunked_before = in_trailers_ = false;
  }

  Http1Parser& out_;
  bool in_trailers_ = false;
};

template <bool kRequest>
class Http1Parser::BeastOf final : public Http1Parser::Beast {
 public:
  using Beast::Beast;

  void reset(bool no_body) override {
    clear();
    parser_.emplace(*this);  // which destroys the last message's
    // The scanner has our limits.
    parser_->header_limit(UINT32_MAX);
    parser_->body_limit(UINT64_MAX);  // not "none", which Beast 1.74 takes for less than anything
    parser_->skip(no_body);
  }

  const char* put(ByteView bytes) override {
    beast::error_code error;
    while (!bytes.empty()) {
      const std::size_t used =
          parser_->put(boost::asio::const_buffer(bytes.data(), bytes.size()), error);
      if (error) return reason_of(error);
      bytes = bytes.subspan(used);
      if (parser_->is_done()) break;
      if (used == 0 && !bytes.empty()) return "a message that breaks the grammar";
    }
    return bytes.empty() ? nullptr : "a message that breaks the grammar";
  }
  bool keep_alive() const override { return parser_->keep_alive(); }
  bool upgrade() const override { return parser_->upgrade(); }

 private:
  class Parser final : public beast::http::basic_parser<kRequest> {
   public:
    explicit Parser(BeastOf& out) noexcept : out_(out) {}

   private:
    using verb = beast::http::verb;
    using error_code = beast::error_code;
    using string_view = beast::string_view;

    void on_request_impl(verb, string_view method, string_view target, int version,
                         error_code&) override {
      out_.out_.head_.method.assign(view_of(method));
      out_.out_.head_.target.assign(view_of(target));
      out_.out_.head_.http10 = version == 10;
    }
    void on_response_impl(int status, string_view, int version, error_code&) override {
      out_.out_.head_.status = status;
      out_.out_.head_.http10 = version == 10;
    }
    void on_field_impl(beast::http::field, string_view name, string_view value,
                       error_code&) override {
      out_.field(name, value);
    }
    void on_header_impl(error_code&) override {}
    void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}
    std::size_t on_body_impl(string_view body, error_code&) override { return body.size(); }
    void on_chunk_header_impl(std::uint64_t size, string_view, error_code&) override {
      if (size == 0) out_.in_trailers_ = true;
    }
    std::size_t on_chunk_body_impl(std::uint64_t, string_view body, error_code&) override {
      return body.size();
    }
    void on_finish_impl(error_code&) override {}

    BeastOf& out_;
  };

  std::optional<Parser> parser_;
};

// ---- Http1Parser --------------------------------------------------------------------------------

Http1Parser::Http1Parser(bool requests, const Http1Limits& limits)
    : limits_(limits), scanner_(limits), requests_(requests) {
  if (requests) {
    beast_ = std::make_unique<BeastOf<true>>(*this);
  } else {
    beast_ = std::make_unique<BeastOf<false>>(*this);
  }
  scanner_.expect_head(requests_);
}

Http1Parser::~Http1Parser() = default;

Http1Parser::Event Http1Parser::fail(Http1Failure failure) noexcept {
  mode_ = Mode::failed;
  failure_ = failure;
  return Event::failed;
}

void Http1Parser::tunnel() noexcept { mode_ = Mode::tunnel; }

bool Http1Parser::unit(ByteView& bytes, ByteView& whole, Event& event) {
  std::size_t used = 0;
  const Http1Scanner::Result result = scanner_.scan(bytes, used);
  if (result == Http1Scanner::Result::failed) {
    const std::string begin = carry_ + std::string(as_text(bytes.first(used)));
    const bool proxied = requests_ && mode_ == Mode::head && proxy_protocol(begin);
    event = fail(proxied ? Http1Failure{400, "the PROXY protocol, which is not spoken here"}
                         : scanner_.failure());
    return false;
  }
  const std::string_view found = as_text(bytes.first(used));
  bytes = bytes.subspan(used);
  if (result == Http1Scanner::Result::more) {
    carry_ += found;
    event = Event::more;
    return false;
  }
  if (carry_.empty()) {
    whole = as_bytes(found);
  } else {
    carry_ += found;
    spent_.swap(carry_);
    carry_.clear();
    whole = as_bytes(spent_);
  }
  return true;
}

Http1Parser::Event Http1Parser::next(ByteView& bytes) {
  ByteView whole;
  Event event = Event::more;
  switch (mode_) {
    case Mode::failed: return Event::failed;
    case Mode::done: return end_message();
    case Mode::head:
      if (!unit(bytes, whole, event)) return event;
      return read_head(whole.subspan(scanner_.skipped()));
    case Mode::chunk_header:
      if (!unit(bytes, whole, event)) return event;
      event = read_chunk_header(whole);
      return event == Event::more ? next(bytes) : event;
    case Mode::body:
    case Mode::to_end:
    case Mode::chunk_body:
      if (bytes.empty()) return Event::more;
      return read_body(bytes);
    case Mode::tunnel:
      if (bytes.empty()) return Event::more;
      body_ = bytes;
      bytes = {};
      return Event::body;
  }
  return Event::more;
}

Http1Parser::Event Http1Parser::read_head(ByteView whole) {
  head_ = Http1Head();
  trailers_.clear();
  beast_->reset(no_body_);
  const bool no_body = std::exchange(no_body_, false);
  std::string mended;
  if (!requests_ && forgot_space(as_text(whole))) {
    mended = std::string(as_text(whole)).insert(kStatusEnd, " ");
    whole = as_bytes(mended);
  }
  if (const char* error = beast_->put(whole); error != nullptr) {
    // RFC 9110 §15.6.6, for whoever speaks another version of HTTP properly.
    const std::string_view line = as_text(whole).substr(0, as_text(whole).find('\r'));
    const std::string_view version =
        line.substr(line.size() - std::min<std::size_t>(line.size(), 9));
    const auto digit = [](char c) { return c >= '0' && c <= '9'; };
    if (requests_ && version.size() == 9 && version.starts_with(" HTTP/") && digit(version[6]) &&
        version[7] == '.' && digit(version[8]) && version.substr(6) != "1.1" &&
        version.substr(6) != "1.0") {
      return fail({505, "a version of HTTP that is not spoken here"});
    }
    return fail({400, error});
  }
  const Beast& found = *beast_;
  if (found.lengths > 0 && found.codings > 0) {
    return fail({400, "content-length beside transfer-encoding"});
  }
  if (found.bad_length) return fail({400, "a content-length that is no number"});
  if (found.lengths > 1) return fail({400, "more than one content-length"});
  if (found.codings > 0) {
    if (head_.http10) return fail({400, "a transfer coding in HTTP/1.0"});
    if (!found.ends_chunked || found.chunked_before) {
      return fail({400, "a transfer coding after chunked, or without it"});
    }
    // RFC 9112 §6.1.
    if (!found.only_chunked) return fail({501, "a transfer coding that is not known here"});
  }
  if (head_.target.size() > limits_.max_target)
    return fail({414, "a request target above our limit (max_target)"});
  if (head_.fields.section_size() > limits_.max_field_section) {
    return fail({431, "a header section above our limit (max_field_section)"});
  }
  head_.keep_alive = found.keep_alive();
  head_.upgrade = found.upgrade();
  const bool bodyless = !requests_ && (no_body || head_.status / 100 == 1 || head_.status == 204 ||
                                       head_.status == 304);
  using Framing = Http1Head::Framing;
  if (bodyless) {
    head_.framing = Framing::none;
  } else if (found.codings > 0) {
    head_.framing = Framing::chunked;
  } else if (found.lengths > 0) {
    head_.framing = head_.length > 0 ? Framing::length : Framing::none;
  } else {
    head_.framing = requests_ ? Framing::none : Framing::to_end;
  }
  switch (head_.framing) {
    case Framing::none: mode_ = Mode::done; break;
    case Framing::length:
      left_ = head_.length;
      mode_ = Mode::body;
      break;
    case Framing::to_end: mode_ = Mode::to_end; break;
    case Framing::chunked:
      scanner_.expect_chunk(true);
      mode_ = Mode::chunk_header;
      break;
  }
  return Event::head;
}

Http1Parser::Event Http1Parser::read_body(ByteView& bytes) {
  std::size_t size = bytes.size();
  if (mode_ != Mode::to_end) {
    size = static_cast<std::size_t>(std::min<std::uint64_t>(size, left_));
  }
  body_ = bytes.first(size);
  bytes = bytes.subspan(size);
  if (const char* error = beast_->put(body_); error != nullptr) return fail({400, error});
  if (mode_ == Mode::to_end) return Event::body;
  left_ -= size;
  if (left_ > 0) return Event::body;
  if (mode_ == Mode::body) {
    mode_ = Mode::done;
  } else {
    scanner_.expect_chunk(false);
    mode_ = Mode::chunk_header;
  }
  return Event::body;
}

Http1Parser::Event Http1Parser::read_chunk_header(ByteView whole) {
  if (const char* error = beast_->put(whole); error != nullptr) return fail({400, error});
  left_ = scanner_.chunk_size();
  if (left_ == 0) {
    if (trailers_.section_size() > limits_.max_field_section) {
      return fail({431, "trailers above our limit (max_field_section)"});
    }
    return end_message();
  }
  mode_ = Mode::chunk_body;
  return Event::more;
}

Http1Parser::Event Http1Parser::end_message() noexcept {
  mode_ = Mode::head;
  scanner_.expect_head(requests_);
  return Event::end;
}

Http1Parser::Event Http1Parser::finish() {
  switch (mode_) {
    case Mode::to_end:
    case Mode::done: return end_message();
    case Mode::head:
      if (!scanner_.begun()) return Event::more;
      break;
    case Mode::tunnel: return Event::end;
    default: break;
  }
  return mode_ == Mode::failed ? Event::failed : fail({400, "a message that is not complete"});
}

// ---- WebSocket's handshake ----------------------------------------------------------------------

namespace {

std::string base64(const void* bytes, std::size_t size) {
  namespace codec = beast::detail::base64;
  std::string text(codec::encoded_size(size), '\0');
  text.resize(codec::encode(text.data(), bytes, size));
  return text;
}

}  // namespace

std::string websocket_accept(std::string_view key) {
  constexpr std::string_view kGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  beast::detail::sha1_context context;
  beast::detail::init(context);
  beast::detail::update(context, key.data(), key.size());
  beast::detail::update(context, kGuid.data(), kGuid.size());
  std::array<std::uint8_t, beast::detail::sha1_context::digest_size> digest{};
  beast::detail::finish(context, digest.data());
  return base64(digest.data(), digest.size());
}

bool valid_websocket_key(std::string_view key) noexcept {
  if (key.size() != 24 || !key.ends_with("==")) return false;
  return std::all_of(key.begin(), key.end() - 2, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '+' ||
           c == '/';
  });
}

std::string websocket_key(ByteView sixteen) { return base64(sixteen.data(), sixteen.size()); }

}  // namespace tern::fallback
