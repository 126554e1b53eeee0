#pragma once

#include "base/task.h"
#include "webtransport/session.h"

namespace tern::cli {

/// The demo site's session: what comes on a stream goes back on it, or on one of the server's where
/// it came on a unidirectional one; datagrams come back as they are. Until the client has ended it.
Task<void> webtransport_echo(webtransport::Session& session);

}  // namespace tern::cli
