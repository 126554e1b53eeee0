#pragma once

#include <cstdint>

namespace tern::sim {

/// Two rounds of multiply and shift (the finaliser of splitmix64): every input bit reaches every
/// output bit.
constexpr std::uint64_t mix(std::uint64_t value) {
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

}  // namespace tern::sim
