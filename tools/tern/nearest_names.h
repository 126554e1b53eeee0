#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace tern::cli {

/// Those of `names` ("pkg.Service.Method") that `wanted` may have been meant for, the best first,
/// `most` of them at most: the same but for capitals, those that end with it, those that differ
/// from it in few letters. '/' is as good as '.'. Names of more than 200 bytes are passed over.
std::vector<std::string> nearest_names(std::string_view wanted,
                                       const std::vector<std::string>& names, std::size_t most = 3);

/// "; did you mean A, B or C?", or nothing when there are none.
std::string did_you_mean(const std::vector<std::string>& names);

}  // namespace tern::cli
