#pragma once

/// A unit test runs twice: in the release build, and with AddressSanitizer and without
/// optimization, where the same takes twenty times as long. What is repeated for the sake of a
/// figure, or over inputs that differ in nothing but a place, has all of it in the release build,
/// and with the sanitizers as much as meets the same code in the same states.

namespace tern::test {

#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool kSanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif
#else
inline constexpr bool kSanitized = false;
#endif

}  // namespace tern::test
