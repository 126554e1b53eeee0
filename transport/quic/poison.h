#pragma once

#include <cstddef>

#if defined(__SANITIZE_ADDRESS__)
#define TERN_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TERN_ADDRESS_SANITIZER 1
#endif
#endif
#ifdef TERN_ADDRESS_SANITIZER
#include <sanitizer/asan_interface.h>
#endif

/// Memory that nobody is to touch now: AddressSanitizer reports whoever does. Nothing in other
/// builds. Internal to transport/quic.

namespace tern::quic {

inline void poison([[maybe_unused]] void* begin, [[maybe_unused]] std::size_t size) noexcept {
#ifdef TERN_ADDRESS_SANITIZER
  __asan_poison_memory_region(begin, size);
#endif
}

inline void unpoison([[maybe_unused]] void* begin, [[maybe_unused]] std::size_t size) noexcept {
#ifdef TERN_ADDRESS_SANITIZER
  __asan_unpoison_memory_region(begin, size);
#endif
}

}  // namespace tern::quic
