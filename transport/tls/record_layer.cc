#include "transport/tls/record_layer.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include <openssl/mem.h>

#include "base/check.h"

namespace tern::tls {
namespace {

constexpr std::uint8_t kCloseNotify = 0;
constexpr std::uint8_t kUnexpectedMessage = 10;
constexpr std::uint8_t kBadRecordMac = 20;
constexpr std::uint8_t kRecordOverflow = 22;
constexpr std::uint8_t kIllegalParameter = 47;
constexpr std::uint8_t kDecodeError = 50;
constexpr std::uint8_t kUserCanceled = 90;

constexpr std::uint8_t kNewSessionTicket = 4;
constexpr std::uint8_t kKeyUpdate = 24;
constexpr std::size_t kMessageHeader = 4;
constexpr std::uint8_t kKeyUpdateMessage[] = {kKeyUpdate, 0, 0, 1, 0};  // update_not_requested

/// Content type, padding and tag come on top of the plaintext (RFC 8446 §5.2).
constexpr std::size_t kMaxCiphertext = RecordLayer::kMaxPlaintext + 256;

std::size_t length_of(const std::uint8_t* header) noexcept {
  return static_cast<std::size_t>(header[3]) << 8 | header[4];
}

RecordLayer::Step failure(std::uint8_t alert, const char* reason) noexcept {
  return {RecordLayer::Step::Kind::failed, {}, alert, reason};
}

}  // namespace

// ---- keys ---------------------------------------------------------------------------------------

RecordKey::RecordKey(Aead aead, Hash hash, ByteView secret, std::uint64_t sequence)
    : aead_(aead), hash_(hash), secret_size_(secret.size()), sequence_(sequence) {
  TERN_CHECK(secret_size_ == (hash == Hash::sha256 ? 32u : 48u));
  std::memcpy(secret_.data(), secret.data(), secret.size());
  derive();
}

RecordKey::~RecordKey() {
  OPENSSL_cleanse(secret_.data(), secret_.size());
  OPENSSL_cleanse(iv_.data(), iv_.size());
}

void RecordKey::derive() {
  std::uint8_t key[32];
  const std::size_t size = aead_ == Aead::aes_128_gcm ? 16 : 32;
  const ByteView secret(secret_.data(), secret_size_);
  hkdf_expand_label({key, size}, hash_, secret, "key");
  hkdf_expand_label(iv_, hash_, secret, "iv");
  key_.emplace(aead_, ByteView(key, size));
  OPENSSL_cleanse(key, sizeof key);
}

void RecordKey::update() {
  std::array<std::uint8_t, kMaxSecretLength> next{};
  hkdf_expand_label({next.data(), secret_size_}, hash_, {secret_.data(), secret_size_},
                    "traffic upd");
  secret_ = next;
  OPENSSL_cleanse(next.data(), next.size());
  sequence_ = 0;
  derive();
}

RecordKey::Nonce RecordKey::next_nonce() noexcept {
  Nonce nonce = iv_;
  const std::uint64_t number = sequence_++;
  for (std::size_t i = 0; i < 8; ++i) {
    nonce[kIvLength - 1 - i] ^= static_cast<std::uint8_t>(number >> (8 * i));
  }
  return nonce;
}

void RecordKey::seal(MutableBytes text, ByteView header) noexcept {
  const Nonce nonce = next_nonce();
  TERN_CHECK(key_->seal(text.data(), text, nonce, header));
}

bool RecordKey::open(MutableBytes text, ByteView header) noexcept {
  const Nonce nonce = next_nonce();
  return key_->open(text.data(), text, nonce, header);
}

// ---- out ----------------------------------------------------------------------------------------

/// Makes a record of the `size` bytes of plaintext that lie behind the header's room. Returns its
/// end.
std::uint8_t* RecordLayer::put(std::uint8_t* out, Type type, std::size_t size) noexcept {
  const std::size_t length = size + 1 + kAeadTagLength;
  out[0] = static_cast<std::uint8_t>(Type::application_data);
  out[1] = 3;  // TLS 1.2's number, for ever
  out[2] = 3;
  out[3] = static_cast<std::uint8_t>(length >> 8);
  out[4] = static_cast<std::uint8_t>(length);
  out[kHeader + size] = static_cast<std::uint8_t>(type);
  write_.seal({out + kHeader, size + 1}, {out, kHeader});
  return out + kHeader + length;
}

std::uint8_t* RecordLayer::put_update(std::uint8_t* out) noexcept {
  std::memcpy(out + kHeader, kKeyUpdateMessage, sizeof kKeyUpdateMessage);
  out = put(out, Type::handshake, sizeof kKeyUpdateMessage);
  write_.update();
  owes_update_ = false;
  return out;
}

Bytes RecordLayer::seal(std::span<Bytes> pieces) {
  std::size_t left = 0;
  for (const Bytes& piece : pieces) left += piece.size();
  if (left == 0) return {};
  const std::size_t records = (left + kMaxPlaintext - 1) / kMaxPlaintext;
  const bool update = owes_update_ || write_.sequence() + records > kMaxRecords;
  const std::size_t room =
      left + records * kOverhead + (update ? kOverhead + sizeof kKeyUpdateMessage : 0);
  return Bytes::make(room, [&](MutableBytes memory) {
    std::uint8_t* out = memory.data();
    if (update) out = put_update(out);
    std::size_t index = 0;
    std::size_t offset = 0;  // in that piece
    while (left > 0) {
      const std::size_t size = std::min(left, kMaxPlaintext);
      std::uint8_t* plain = out + kHeader;
      for (std::size_t missing = size; missing > 0;) {
        const Bytes& piece = pieces[index];
        const std::size_t part = std::min(missing, piece.size() - offset);
        if (part > 0) std::memcpy(plain, piece.data() + offset, part);
        plain += part;
        offset += part;
        missing -= part;
        if (offset == piece.size()) {
          pieces[index++] = Bytes();
          offset = 0;
        }
      }
      out = put(out, Type::application_data, size);
      left -= size;
    }
    for (; index < pieces.size(); ++index) pieces[index] = Bytes();
    return static_cast<std::size_t>(out - memory.data());
  });
}

Bytes RecordLayer::alert(std::uint8_t description) {
  return Bytes::make(kOverhead + 2, [&](MutableBytes memory) {
    memory[kHeader] = description == kCloseNotify ? 1 : 2;
    memory[kHeader + 1] = description;
    return static_cast<std::size_t>(put(memory.data(), Type::alert, 2) - memory.data());
  });
}

Bytes RecordLayer::key_update() {
  return Bytes::make(kOverhead + sizeof kKeyUpdateMessage, [&](MutableBytes memory) {
    return static_cast<std::size_t>(put_update(memory.data()) - memory.data());
  });
}

// ---- in -----------------------------------------------------------------------------------------

/// The first record of the input, or of what was kept and the input; empty: it is not whole yet.
/// Nothing at all: it is longer than a record may be.
std::optional<MutableBytes> RecordLayer::whole_record(MutableBytes& input) {
  if (partial_.empty() && input.size() >= kHeader) {
    const std::size_t length = length_of(input.data());
    if (length > kMaxCiphertext) return std::nullopt;
    if (input.size() >= kHeader + length) {
      const MutableBytes record = input.first(kHeader + length);
      input = input.subspan(record.size());
      return record;
    }
    partial_.reserve(kHeader + length);
  }
  while (!input.empty()) {
    const bool header = partial_.size() < kHeader;
    const std::size_t wanted = header ? kHeader : kHeader + length_of(partial_.data());
    const std::size_t taken = std::min(wanted - partial_.size(), input.size());
    partial_.insert(partial_.end(), input.begin(),
                    input.begin() + static_cast<std::ptrdiff_t>(taken));
    input = input.subspan(taken);
    if (partial_.size() < wanted) break;
    const std::size_t length = length_of(partial_.data());
    if (length > kMaxCiphertext) return std::nullopt;
    if (header && length > 0) {
      partial_.reserve(kHeader + length);
      continue;
    }
    current_ = std::exchange(partial_, {});
    return MutableBytes(current_);
  }
  return MutableBytes();
}

RecordLayer::Step RecordLayer::next(MutableBytes& input) {
  current_ = {};  // an idle connection holds no record
  const std::optional<MutableBytes> record = whole_record(input);
  if (!record) return failure(kRecordOverflow, "a record is too long");
  if (record->empty()) return {};
  const MutableBytes header = record->first(kHeader);
  if (header[0] != static_cast<std::uint8_t>(Type::application_data)) {
    return failure(kUnexpectedMessage, "a record is not protected");
  }
  const MutableBytes text = record->subspan(kHeader);
  if (text.size() < kAeadTagLength || !read_.open(text, header)) {
    return failure(kBadRecordMac, "a record is forged or damaged");
  }
  // Behind the content come its type and zeros.
  std::size_t end = text.size() - kAeadTagLength;
  while (end > 0 && text[end - 1] == 0) --end;
  if (end == 0) return failure(kUnexpectedMessage, "a record has no content type");
  if (end - 1 > kMaxPlaintext) return failure(kRecordOverflow, "a record is too long");
  return opened(static_cast<Type>(text[end - 1]), text.first(end - 1));
}

RecordLayer::Step RecordLayer::opened(Type type, MutableBytes content) {
  if (type == Type::application_data && !content.empty()) [[likely]] {
    if (!handshake_.empty()) {
      return failure(kUnexpectedMessage, "application data within a handshake message");
    }
    idle_records_ = 0;
    return {Step::Kind::data, content, 0, ""};
  }
  if (++idle_records_ > kMaxIdleRecords) {
    return failure(kUnexpectedMessage, "too many records without application data");
  }
  switch (type) {
    case Type::application_data: return {Step::Kind::other, {}, 0, ""};
    case Type::alert: return on_alert(content);
    case Type::handshake: return on_handshake(content);
  }
  return failure(kUnexpectedMessage, "a record of an unknown type");
}

RecordLayer::Step RecordLayer::on_alert(ByteView content) {
  if (content.size() != 2) return failure(kDecodeError, "a malformed alert");
  const std::uint8_t description = content[1];
  if (description == kCloseNotify) return {Step::Kind::closed, {}, 0, ""};
  if (description == kUserCanceled) return {Step::Kind::other, {}, 0, ""};
  return {Step::Kind::alert, {}, description, ""};
}

RecordLayer::Step RecordLayer::on_handshake(ByteView content) {
  if (content.empty()) return failure(kUnexpectedMessage, "an empty handshake record");
  if (handshake_.size() + content.size() > kMaxHandshake) {
    return failure(kIllegalParameter, "a handshake message is too long");
  }
  handshake_.insert(handshake_.end(), content.begin(), content.end());
  std::size_t begin = 0;
  while (handshake_.size() - begin >= kMessageHeader) {
    const std::uint8_t* message = handshake_.data() + begin;
    const std::size_t size = static_cast<std::size_t>(message[1]) << 16 |
                             static_cast<std::size_t>(message[2]) << 8 | message[3];
    const bool ticket = client_ && message[0] == kNewSessionTicket;
    if (!ticket && message[0] != kKeyUpdate) {
      return failure(kUnexpectedMessage, "an unexpected handshake message");
    }
    if (handshake_.size() - begin < kMessageHeader + size) break;
    begin += kMessageHeader + size;
    if (ticket) continue;
    if (size != 1) return failure(kDecodeError, "a malformed KeyUpdate");
    const std::uint8_t requested = message[kMessageHeader];
    if (requested > 1) return failure(kIllegalParameter, "a malformed KeyUpdate");
    // What follows is protected by another key, so it cannot be in the same record.
    if (begin != handshake_.size()) {
      return failure(kUnexpectedMessage, "a KeyUpdate does not end its record");
    }
    read_.update();
    if (requested == 1) owes_update_ = true;
  }
  handshake_.erase(handshake_.begin(), handshake_.begin() + static_cast<std::ptrdiff_t>(begin));
  return {Step::Kind::other, {}, 0, ""};
}

}  // namespace tern::tls
