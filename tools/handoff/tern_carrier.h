#pragma once

#include <memory>

#include "tools/handoff/carrier.h"

namespace tern::handoff {

/// tern's own Server on the stage's server host; its phones use tern's Client. Whether that speaks
/// HTTP/3 and migrates, HTTP/3 and does not, HTTP/2, or WebTransport, is the stage's carrier.
std::unique_ptr<CarrierServer> make_tern_server(Stage& stage);

}  // namespace tern::handoff
