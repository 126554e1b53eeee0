#include "transport/quic/session.h"

#include <cstddef>
#include <utility>

namespace tern::quic {
namespace {

// "TSES", the format's version, then the members in order, big endian; texts and blobs with a
// 32-bit length before them.
constexpr std::uint8_t kMagic[] = {'T', 'S', 'E', 'S', 1};
constexpr std::size_t kMaxBlob = 256 * 1024;  // a ticket with a long certificate chain is ~10 KiB

class Writer {
 public:
  void number(std::uint64_t value, int bytes) {
    for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) {
      out_.push_back(static_cast<std::uint8_t>(value >> shift));
    }
  }
  void blob(ByteView bytes) {
    number(bytes.size(), 4);
    out_.insert(out_.end(), bytes.begin(), bytes.end());
  }
  void raw(ByteView bytes) { out_.insert(out_.end(), bytes.begin(), bytes.end()); }
  std::vector<std::uint8_t> take() { return std::move(out_); }

 private:
  std::vector<std::uint8_t> out_;
};

class Reader {
 public:
  explicit Reader(ByteView bytes) : rest_(bytes) {}

  std::uint64_t number(std::size_t bytes) {
    const ByteView view = raw(bytes);
    std::uint64_t value = 0;
    for (const std::uint8_t byte : view) value = value << 8 | byte;
    return value;
  }
  ByteView blob() {
    const std::uint64_t size = number(4);
    if (size > kMaxBlob) ok_ = false;
    return raw(static_cast<std::size_t>(size));
  }
  ByteView raw(std::size_t size) {
    if (!ok_ || size > rest_.size()) {
      ok_ = false;
      return {};
    }
    const ByteView view = rest_.first(size);
    rest_ = rest_.subspan(size);
    return view;
  }
  bool complete() const { return ok_ && rest_.empty(); }

 private:
  ByteView rest_;
  bool ok_ = true;
};

}  // namespace

std::vector<std::uint8_t> Session::serialize() const {
  Writer out;
  out.raw(kMagic);
  out.number(quic_version, 4);
  out.number(static_cast<std::uint64_t>(expires), 8);
  out.number(early_data ? 1 : 0, 1);
  out.blob(as_bytes(server_name));
  out.blob(as_bytes(alpn));
  out.blob(ticket);
  out.blob(transport_params);
  out.blob(token);
  out.blob(application);
  return out.take();
}

Result<Session> Session::parse(ByteView bytes) {
  Reader in(bytes);
  const ByteView magic = in.raw(sizeof(kMagic));
  if (as_text(magic) != as_text(kMagic)) {
    return fail(Error::invalid("not a session of this version of tern"));
  }
  const auto vector = [&] {
    const ByteView view = in.blob();
    return std::vector<std::uint8_t>(view.begin(), view.end());
  };
  Session session;
  session.quic_version = static_cast<std::uint32_t>(in.number(4));
  session.expires = static_cast<UnixSeconds>(in.number(8));
  const std::uint64_t early_data = in.number(1);
  session.early_data = early_data == 1;
  session.server_name = as_text(in.blob());
  session.alpn = as_text(in.blob());
  session.ticket = vector();
  session.transport_params = vector();
  session.token = vector();
  session.application = vector();
  if (!in.complete() || early_data > 1 || session.expires < 0) {
    return fail(Error::invalid("the session is damaged or cut off"));
  }
  return session;
}

}  // namespace tern::quic
