#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "http/message.h"
#include "http3/message_rules.h"

namespace tern::http3 {

/// What a field section came to that was read from the first byte to the last, with nothing wrong.
struct KnownSection {
  MessageRules begun;  ///< the rules before its first line
  MessageRules rules;  ///< and behind its last
  http::Fields fields;
  http::RequestHead head;  ///< of a server's request
  std::string cookie;
};

/// The field sections of one connection that come again and again: many requests, and most
/// trailers, are byte for byte what was read before. They mean the same as long as QPACK's table is
/// the same, which its `generation` says. Kept from the second time on, so that those that come
/// once cost no more than a hash.
class KnownSections {
 public:
  static constexpr std::size_t kMost = 4;
  static constexpr std::size_t kLargest = 512;       ///< bytes of one
  static constexpr std::size_t kLargestRead = 4096;  ///< its lines: QPACK makes much of little

  /// Null: it has to be read; if all is well with it, `learn` may be told.
  const KnownSection* find(ByteView bytes, const MessageRules& begun, std::uint64_t generation) {
    hash_ = 0;
    if (bytes.size() > kLargest) return nullptr;
    hash_ = static_cast<std::uint32_t>(std::hash<std::string_view>()(as_text(bytes))) | 1;
    if (state_ == nullptr) return nullptr;
    for (const Kept& kept : state_->kept) {
      if (kept.hash == hash_ && kept.generation == generation && kept.bytes == as_text(bytes) &&
          kept.section.begun == begun) {
        return &kept.section;
      }
    }
    return nullptr;
  }

  /// Whether the section that `find` has not found is worth keeping.
  bool worth_learning() {
    if (hash_ == 0) return false;
    if (state_ == nullptr) state_ = std::make_unique<State>();
    for (const std::uint32_t seen : state_->seen) {
      if (seen == hash_) return true;
    }
    state_->seen[state_->next_seen++ % state_->seen.size()] = hash_;
    return false;
  }
  /// In the place of what the same bytes meant, or of the one that has been there longest.
  void learn(ByteView bytes, std::uint64_t generation, KnownSection section) {
    Kept* place = nullptr;
    for (Kept& kept : state_->kept) {
      if (kept.bytes == as_text(bytes)) place = &kept;
    }
    if (place == nullptr && state_->kept.size() < kMost) place = &state_->kept.emplace_back();
    if (place == nullptr) place = &state_->kept[state_->next_kept++ % kMost];
    place->hash = hash_;
    place->generation = generation;
    place->bytes = as_text(bytes);
    place->section = std::move(section);
  }

 private:
  struct Kept {
    std::uint32_t hash = 0;
    std::uint64_t generation = 0;
    std::string bytes;
    KnownSection section;
  };
  struct State {
    std::array<std::uint32_t, 16> seen{};
    std::size_t next_seen = 0;
    std::vector<Kept> kept;  // at most kMost
    std::size_t next_kept = 0;
  };

  std::uint32_t hash_ = 0;  // of the last that was looked for; 0: it is too large
  std::unique_ptr<State> state_;
};

}  // namespace tern::http3
