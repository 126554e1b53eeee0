#pragma once

#include "base/error.h"
#include "base/task.h"
#include "tools/handoff/phone.h"
#include "tools/handoff/service.h"
#include "tools/handoff/transfer.h"
#include "webtransport/session.h"

/// Transfers over a WebTransport session: each attempt is a bidirectional stream, whose first line
/// says what it is. Both ends.
///
///   down ID ATTEMPT OFFSET   the transfer's bytes from there on come back
///   up ID ATTEMPT OFFSET     they follow; "ok" comes back when all are there
///   have ID ATTEMPT          how many bytes of an upload the server has

namespace tern::handoff {

/// The phone's end of one attempt, until it is complete or something broke.
Task<Result<void>> attempt_over(webtransport::Session& session, Phone& phone, Transfer& transfer);

/// The server's end of a session.
Task<void> serve_transfers(Service& service, webtransport::Session& session);

}  // namespace tern::handoff
