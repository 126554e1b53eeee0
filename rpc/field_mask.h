#pragma once

#include "rpc/status.h"

namespace google::protobuf {
class FieldMask;
class Message;
}  // namespace google::protobuf

/// What handlers do with a google.protobuf.FieldMask, by protobuf's FieldMaskUtil: a response that
/// is only what was asked for, an update that is only what was named (AIP-157, AIP-134).

namespace tern::rpc {

/// Leaves the fields of `message` that the mask names, and clears the others. An empty mask, and
/// "*", leave all. INVALID_ARGUMENT names a path that the message does not have, and changes
/// nothing.
Status prune(const google::protobuf::FieldMask& mask, google::protobuf::Message& message);

/// Sets the fields of `target` that the mask names to what they are in `source`, also to nothing;
/// messages and repeated fields are replaced as a whole. An empty mask stands for the fields that
/// are set in `source`, "*" for all of them. Both are of one type. INVALID_ARGUMENT as above.
Status merge(const google::protobuf::Message& source, const google::protobuf::FieldMask& mask,
             google::protobuf::Message& target);

}  // namespace tern::rpc
