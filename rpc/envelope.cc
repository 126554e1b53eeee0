#include "rpc/envelope.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"

namespace tern::rpc {

namespace {

Header header_with(std::uint8_t flags) noexcept {
  Header header;
  header.write = [](std::uint8_t* out, std::size_t size, std::uint8_t bits) {
    write_envelope_header(out, bits, static_cast<std::uint32_t>(size));
  };
  header.size = kEnvelopeHeader;
  header.flags = flags;
  return header;
}

}  // namespace

void EnvelopeReader::push(Bytes piece) {
  TERN_CHECK(piece_.empty());
  piece_ = std::move(piece);
}

Result<std::optional<Envelope>> EnvelopeReader::next() {
  if (header_size_ < kEnvelopeHeader) {
    const std::size_t count = std::min(kEnvelopeHeader - header_size_, piece_.size());
    if (count > 0) std::memcpy(header_.data() + header_size_, piece_.data(), count);
    header_size_ = static_cast<std::uint8_t>(header_size_ + count);
    piece_.remove_prefix(count);
    if (header_size_ < kEnvelopeHeader) return std::nullopt;
    length_ = std::uint32_t{header_[1]} << 24 | std::uint32_t{header_[2]} << 16 |
              std::uint32_t{header_[3]} << 8 | header_[4];
    if (length_ > limit_) {
      return fail(Code::resource_exhausted, "a message of " + std::to_string(length_) +
                                                " bytes is larger than " + std::to_string(limit_));
    }
  }
  Envelope envelope;
  envelope.flags = header_[0];
  if (gathered_.empty() && piece_.size() >= length_) {
    envelope.payload = piece_.slice(0, length_);
    piece_.remove_prefix(length_);
  } else {
    const std::size_t count = std::min<std::size_t>(length_ - gathered_.size(), piece_.size());
    gathered_.append(piece_.text().substr(0, count));
    piece_.remove_prefix(count);
    if (gathered_.size() < length_) return std::nullopt;
    envelope.payload = Bytes::take(std::exchange(gathered_, std::string()));
  }
  header_size_ = 0;
  // What is left of an empty piece need not keep its block alive.
  if (piece_.empty()) piece_ = Bytes();
  return envelope;
}

void write_envelope_header(std::uint8_t* out, std::uint8_t flags, std::uint32_t length) noexcept {
  out[0] = flags;
  out[1] = static_cast<std::uint8_t>(length >> 24);
  out[2] = static_cast<std::uint8_t>(length >> 16);
  out[3] = static_cast<std::uint8_t>(length >> 8);
  out[4] = static_cast<std::uint8_t>(length);
}

Result<Bytes> encode_envelope(Codec codec, const google::protobuf::Message& message,
                              std::size_t limit) {
  return encode(codec, message, limit, header_with(0));
}

Bytes compress_envelope(Coding coding, ByteView message, std::uint8_t flags) {
  return compress(coding, message, header_with(flags));
}

Bytes make_envelope(std::uint8_t flags, ByteView payload) {
  return Bytes::make(kEnvelopeHeader + payload.size(), [&](MutableBytes out) {
    write_envelope_header(out.data(), flags, static_cast<std::uint32_t>(payload.size()));
    if (!payload.empty()) std::memcpy(out.data() + kEnvelopeHeader, payload.data(), payload.size());
    return out.size();
  });
}

}  // namespace tern::rpc
