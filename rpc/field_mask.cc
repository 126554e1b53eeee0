#include "rpc/field_mask.h"

#include <string>
#include <vector>

#include <google/protobuf/descriptor.h>
#include <google/protobuf/field_mask.pb.h>
#include <google/protobuf/message.h>
#include <google/protobuf/util/field_mask_util.h>

#include "base/check.h"
#include "http/escape.h"

namespace tern::rpc {

namespace {

using google::protobuf::FieldMask;
using google::protobuf::Message;
using google::protobuf::util::FieldMaskUtil;

bool is_everything(const FieldMask& mask) { return mask.paths_size() == 1 && mask.paths(0) == "*"; }

Status check(const FieldMask& mask, const Message& message) {
  for (const std::string& path : mask.paths()) {
    const bool known =
        !path.empty() && FieldMaskUtil::GetFieldDescriptors(message.GetDescriptor(), path, nullptr);
    if (known) continue;
    return Status(Code::invalid_argument, "the mask's \"" + http::escaped(path, 64) +
                                              "\" is no field of " + message.GetTypeName());
  }
  return Status();
}

}  // namespace

Status prune(const FieldMask& mask, Message& message) {
  if (mask.paths().empty() || is_everything(mask)) return Status();
  Status status = check(mask, message);
  if (status.ok()) FieldMaskUtil::TrimMessage(mask, &message);
  return status;
}

Status merge(const Message& source, const FieldMask& mask, Message& target) {
  TERN_CHECK(source.GetDescriptor() == target.GetDescriptor());
  if (is_everything(mask)) {
    target.CopyFrom(source);
    return Status();
  }
  FieldMask wanted = mask;
  if (wanted.paths().empty()) {
    std::vector<const google::protobuf::FieldDescriptor*> set;
    source.GetReflection()->ListFields(source, &set);
    for (const auto* field : set) wanted.add_paths(field->name());
  }
  Status status = check(wanted, source);
  if (!status.ok()) return status;
  FieldMaskUtil::MergeOptions options;
  options.set_replace_message_fields(true);
  options.set_replace_repeated_fields(true);
  FieldMaskUtil::MergeMessageTo(source, wanted, options, &target);
  return status;
}

}  // namespace tern::rpc
