#pragma once

#include "base/time.h"

namespace tern::tls {

/// When these tests take place.
constexpr UnixSeconds kNow = 1'750'000'000;

}  // namespace tern::tls
