// The other things that people write for `tern relay`. The first byte chooses what the rest is:
// settings as after --up, a scenario of the interop runner's, a rate, a percentage, a rate trace.

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

#include "base/check.h"
#include "tests/fuzz/relay/plan_check.h"
#include "transport/sim/rate_trace.h"

namespace {

using namespace tern;
using namespace tern::cli;

void read_trace(std::string_view text) {
  const auto trace = sim::RateTrace::parse(text, "trace");
  if (!trace) {
    TERN_CHECK(trace.error().detail.starts_with("trace:"));
    return;
  }
  const auto again = sim::RateTrace::parse(trace->text(), "again");
  TERN_CHECK(again && again->text() == trace->text());
  TERN_CHECK(trace->mean_bits_per_second() > 0);
  Duration last{0};
  for (std::uint64_t i = 0; i < 2 * trace->opportunities() && i < 1000; ++i) {
    TERN_CHECK(trace->at(i) >= last);
    last = trace->at(i);
    TERN_CHECK(trace->at(trace->first_from(last)) == last);
  }
}

void read(std::uint8_t what, std::string_view text) {
  RelayPlan plan;
  switch (what % 5) {
    case 0: plan.apply(relay::Direction::both, parse_link_settings(text)); break;
    case 1: read_interop_scenario(text, plan); break;
    case 2: TERN_CHECK(parse_rate(text) >= 0 && std::isfinite(parse_rate(text))); break;
    case 3: TERN_CHECK(parse_percentage(text) >= 0 && parse_percentage(text) <= 1); break;
    case 4: read_trace(text); break;
  }
  check_plan(plan);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  try {
    read(data[0], {reinterpret_cast<const char*>(data + 1), size - 1});
  } catch (const std::invalid_argument& error) {
    const std::string_view line = error.what();
    TERN_CHECK(!line.empty());
  }
  return 0;
}
