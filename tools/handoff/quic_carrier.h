#pragma once

#include <memory>

#include "tools/handoff/carrier.h"

namespace tern::handoff {

/// tern's own Server on the stage's server host; its phones use tern's Client. Whether that
/// migrates is the stage's carrier.
std::unique_ptr<CarrierServer> make_quic_server(Stage& stage);

}  // namespace tern::handoff
