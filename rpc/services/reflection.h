#pragma once

#include "rpc/dispatcher.h"

/// gRPC's server reflection (grpc.reflection.v1 and v1alpha), as `buf curl --reflect`, grpcurl and
/// `tern call` ask for the schema.

namespace tern::rpc {

/// Appends the two services that tell of those which are in `services`, and of themselves. To be
/// called last.
///
///   rpc::Services services{std::make_shared<Hello>()};
///   rpc::add_reflection(services);
///   router.mount("/", rpc::serve(services));
void add_reflection(Services& services);

}  // namespace tern::rpc
