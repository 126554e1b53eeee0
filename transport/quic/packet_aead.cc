#include "transport/quic/packet_aead.h"

#include <algorithm>
#include <utility>

#include <openssl/mem.h>

#include "base/check.h"

namespace tern::quic {

PacketAead::PacketAead(Aead algorithm, ByteView key) noexcept
    : algorithm_(algorithm), length_(static_cast<std::uint8_t>(key.size())) {
  TERN_CHECK(key.size() <= bytes_.size());
  std::copy(key.begin(), key.end(), bytes_.begin());
}

PacketAead::~PacketAead() {
  if (list_ != nullptr) list_->remove(*this);
  OPENSSL_cleanse(bytes_.data(), bytes_.size());
}

void PacketAead::make_key() noexcept {
  key_.emplace(algorithm_, ByteView(bytes_).first(length_));
  if (list_ != nullptr) list_->wake();
}

void RestingKeys::add(PacketAead& key) noexcept {
  key.list_ = this;
  key.next_ = first_;
  first_ = &key;
}

void RestingKeys::remove(PacketAead& key) noexcept {
  PacketAead** at = &first_;
  while (*at != &key) at = &(*at)->next_;
  *at = key.next_;
}

void RestingKeys::rest() noexcept {
  for (PacketAead* key = first_; key != nullptr; key = key->next_) {
    if (!key->key_) continue;
    key->key_.reset();
    key->rests_ = true;
  }
}

void RestingKeys::wake() noexcept {
  for (PacketAead* key = first_; key != nullptr; key = key->next_) {
    if (!std::exchange(key->rests_, false) || key->key_) continue;
    key->key_.emplace(key->algorithm_, ByteView(key->bytes_).first(key->length_));
  }
}

}  // namespace tern::quic
