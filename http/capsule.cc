#include "http/capsule.h"

#include <algorithm>
#include <array>

#include "base/check.h"
#include "base/varint.h"

namespace tern::http {

namespace {

struct Header {
  std::uint64_t type;
  std::uint64_t length;
  std::size_t size;
};

/// The header at the start of `bytes`; nothing while it is incomplete.
std::optional<Header> read_header(ByteView bytes) noexcept {
  const auto type = read_varint(bytes);
  if (!type) return std::nullopt;
  const auto length = read_varint(bytes.subspan(type->size));
  if (!length) return std::nullopt;
  Header header;
  header.type = type->value;
  header.length = length->value;
  header.size = type->size + length->size;
  return header;
}

std::size_t write_header(std::uint8_t* out, std::uint64_t type, std::uint64_t length) noexcept {
  return static_cast<std::size_t>(write_varint(write_varint(out, type), length) - out);
}

}  // namespace

void append_capsule(std::string& out, std::uint64_t type, ByteView payload) {
  std::array<std::uint8_t, 2 * kMaxVarintSize> header;
  const std::size_t size = write_header(header.data(), type, payload.size());
  out.append(as_text(ByteView(header.data(), size))).append(as_text(payload));
}

Bytes capsule(std::uint64_t type, ByteView payload) {
  const std::size_t size = varint_size(type) + varint_size(payload.size()) + payload.size();
  return Bytes::make(size, [&](MutableBytes out) {
    const std::size_t header = write_header(out.data(), type, payload.size());
    std::copy(payload.begin(), payload.end(), out.begin() + static_cast<std::ptrdiff_t>(header));
    return size;
  });
}

void CapsuleDecoder::feed(ByteView bytes) {
  TERN_CHECK(input_.empty());
  input_ = bytes;
}

std::optional<CapsuleDecoder::Capsule> CapsuleDecoder::next() {
  if (partial_done_) {
    partial_.clear();
    partial_done_ = false;
  }
  const std::size_t skipped =
      static_cast<std::size_t>(std::min<std::uint64_t>(skip_, input_.size()));
  skip_ -= skipped;
  input_ = input_.subspan(skipped);
  if (input_.empty()) return std::nullopt;

  // The header, which may have come in part: bytes are added one by one, at most 16.
  std::optional<Header> header = read_header(partial_.empty() ? input_ : ByteView(partial_));
  if (!header) {
    while (!header && !input_.empty()) {
      partial_.push_back(input_.front());
      input_ = input_.subspan(1);
      header = read_header(partial_);
    }
    if (!header) return std::nullopt;
  }

  Capsule found;
  found.type = header->type;
  found.length = header->length;
  if (header->length > max_payload_) {
    if (partial_.empty()) input_ = input_.subspan(header->size);
    partial_.clear();
    skip_ = header->length;
    found.too_long = true;
    return found;
  }
  const std::size_t whole = header->size + static_cast<std::size_t>(header->length);
  if (partial_.empty() && input_.size() >= whole) {
    found.payload = input_.subspan(header->size, whole - header->size);
    input_ = input_.subspan(whole);
    return found;
  }
  const std::size_t taken = std::min(whole - partial_.size(), input_.size());
  partial_.insert(partial_.end(), input_.begin(),
                  input_.begin() + static_cast<std::ptrdiff_t>(taken));
  input_ = input_.subspan(taken);
  if (partial_.size() < whole) return std::nullopt;
  partial_done_ = true;
  found.payload = ByteView(partial_).subspan(header->size);
  return found;
}

bool CapsuleDecoder::at_boundary() const noexcept {
  return input_.empty() && skip_ == 0 && (partial_.empty() || partial_done_);
}

}  // namespace tern::http
