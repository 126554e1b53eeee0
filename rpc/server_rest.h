#pragma once

#include <memory>
#include <string>

#include "base/error.h"
#include "rpc/dialect.h"
#include "rpc/dispatcher.h"
#include "rpc/rest_route.h"
#include "rpc/status.h"

/// REST's server side: methods with a google.api.http option as JSON over plain HTTP (docs/rpc.md).

namespace tern::rpc {

/// Whether the services' google.api.http options can be served together: Error invalid names the
/// one that cannot, or whose path another has already. `serve` does not come back from such a
/// mistake of the program (TERN_CHECK).
tern::Result<void> check_rest(const Services& services);

/// A status as the body of an error: google.rpc.Status in JSON.
std::string rest_error(const Status& status);

std::unique_ptr<Dialect> make_rest_dialect(const Services& services, RestOptions options);

}  // namespace tern::rpc
