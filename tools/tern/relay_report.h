#pragma once

#include <string>

#include "tools/relay/relay.h"

namespace tern::cli {

/// What a relay did so far, as one JSON object: "event", "seconds", and the counters.
std::string relay_stats_json(const relay::RelayStats& stats, double seconds, const char* event);
/// And as a table for people.
std::string relay_stats_text(const relay::RelayStats& stats);

}  // namespace tern::cli
