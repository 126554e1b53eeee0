// A file of `tern relay --script`: refused with one line that names the file, or a plan that a link
// and a timeline can work with.

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

#include "base/check.h"
#include "tests/fuzz/relay/plan_check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tern::cli;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  RelayPlan plan;
  try {
    read_script(text, "script", plan);
  } catch (const std::invalid_argument& error) {
    TERN_CHECK(std::string_view(error.what()).starts_with("script:"));
    return 0;
  }
  check_plan(plan);
  return 0;
}
