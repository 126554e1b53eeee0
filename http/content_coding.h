#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace tern::http {

/// Content codings (RFC 9110 §8.4.1), the one this server likes best last.
enum class Coding : std::uint8_t { identity, gzip, zstd, br };
inline constexpr std::size_t kCodings = 4;

/// "gzip"; empty for identity.
std::string_view name_of(Coding coding) noexcept;
/// By name, any case; "x-gzip" is gzip.
std::optional<Coding> coding_of(std::string_view name) noexcept;

/// What an `accept-encoding` field value allows (RFC 9110 §12.5.3).
class AcceptedCodings {
 public:
  /// Without the field: identity alone is sure to be understood.
  AcceptedCodings() noexcept { quality_[0] = 1; }
  /// Elements that cannot be read are skipped.
  explicit AcceptedCodings(std::string_view field_value) noexcept;

  /// 0 to 1000 (thousandths); 0 is refused.
  int quality(Coding coding) const noexcept { return quality_[static_cast<std::size_t>(coding)]; }
  /// The best of those that are available; identity when none is acceptable, as a body that was not
  /// asked for is of more use than 406.
  Coding choose(const std::array<bool, kCodings>& available) const noexcept;

 private:
  std::array<int, kCodings> quality_{};
};

}  // namespace tern::http
