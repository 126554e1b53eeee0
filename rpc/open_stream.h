#pragma once

#include <memory>

#include "base/task.h"
#include "http/message.h"
#include "rpc/client_call.h"
#include "rpc/status.h"
#include "rpc/wire.h"

namespace tern::rpc {

/// What every dialect's `open` begins with: credentials, then the wire, within the call's deadline
/// and as long as it is not cancelled. What the caller's references name outlives the task.
Task<Result<std::unique_ptr<WireStream>>> open_wire(CallStart start, http::RequestHead head);

}  // namespace tern::rpc
