#include "rpc/status.h"

#include <array>

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/message.h>
#include <google/protobuf/wire_format_lite.h>

#include "base/check.h"
#include "rpc/status_table.h"

namespace tern::rpc {

namespace {

using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;
using google::protobuf::io::CodedOutputStream;
using google::protobuf::io::StringOutputStream;

struct Name {
  std::string_view lower;
  std::string_view upper;
};
constexpr std::array<Name, kCodes> kNames = {{
    {"ok", "OK"},
    {"canceled", "CANCELLED"},
    {"unknown", "UNKNOWN"},
    {"invalid_argument", "INVALID_ARGUMENT"},
    {"deadline_exceeded", "DEADLINE_EXCEEDED"},
    {"not_found", "NOT_FOUND"},
    {"already_exists", "ALREADY_EXISTS"},
    {"permission_denied", "PERMISSION_DENIED"},
    {"resource_exhausted", "RESOURCE_EXHAUSTED"},
    {"failed_precondition", "FAILED_PRECONDITION"},
    {"aborted", "ABORTED"},
    {"out_of_range", "OUT_OF_RANGE"},
    {"unimplemented", "UNIMPLEMENTED"},
    {"internal", "INTERNAL"},
    {"unavailable", "UNAVAILABLE"},
    {"data_loss", "DATA_LOSS"},
    {"unauthenticated", "UNAUTHENTICATED"},
}};

// Field numbers of google.rpc.Status and google.protobuf.Any.
constexpr int kCodeField = 1;
constexpr int kMessageField = 2;
constexpr int kDetailsField = 3;
constexpr int kTypeUrlField = 1;
constexpr int kValueField = 2;

constexpr std::uint32_t tag(int field, WireFormatLite::WireType type) {
  return WireFormatLite::MakeTag(field, type);
}

void write_text(CodedOutputStream& out, int field, std::string_view text) {
  out.WriteTag(tag(field, WireFormatLite::WIRETYPE_LENGTH_DELIMITED));
  out.WriteVarint32(static_cast<std::uint32_t>(text.size()));
  out.WriteRaw(text.data(), static_cast<int>(text.size()));
}

bool read_text(CodedInputStream& in, std::string& text) {
  std::uint32_t size = 0;
  return in.ReadVarint32(&size) && in.ReadString(&text, static_cast<int>(size));
}

CodedInputStream input(std::string_view bytes) {
  return CodedInputStream(reinterpret_cast<const std::uint8_t*>(bytes.data()),
                          static_cast<int>(bytes.size()));
}

bool parse_detail(std::string_view bytes, Detail& detail) {
  CodedInputStream in = input(bytes);
  for (;;) {
    const std::uint32_t next = in.ReadTag();
    if (next == 0) return in.ConsumedEntireMessage();
    bool read = false;
    if (next == tag(kTypeUrlField, WireFormatLite::WIRETYPE_LENGTH_DELIMITED)) {
      read = read_text(in, detail.type_url);
    } else if (next == tag(kValueField, WireFormatLite::WIRETYPE_LENGTH_DELIMITED)) {
      read = read_text(in, detail.value);
    } else {
      read = WireFormatLite::SkipField(&in, next);
    }
    if (!read) return false;
  }
}

}  // namespace

std::string_view name_of(Code code) noexcept {
  return kNames[static_cast<std::size_t>(code)].lower;
}

std::string_view upper_name_of(Code code) noexcept {
  return kNames[static_cast<std::size_t>(code)].upper;
}

std::optional<Code> code_of(std::string_view name) noexcept {
  for (std::size_t code = 0; code < kCodes; ++code) {
    if (kNames[code].lower == name || kNames[code].upper == name) return static_cast<Code>(code);
  }
  if (name == "cancelled") return Code::cancelled;
  return std::nullopt;
}

std::string_view Detail::type() const noexcept {
  const std::string_view url = type_url;
  return url.substr(url.rfind('/') + 1);  // npos + 1 is 0
}

Status::Status(Code code, std::string message) : code_(code) {
  if (code != Code::ok && !message.empty()) more().message = std::move(message);
}

Status::Status(const Status& other)
    : code_(other.code_), more_(other.more_ ? std::make_unique<More>(*other.more_) : nullptr) {}

Status& Status::operator=(const Status& other) {
  if (this != &other) {
    code_ = other.code_;
    more_ = other.more_ ? std::make_unique<More>(*other.more_) : nullptr;
  }
  return *this;
}

Status Status::from(const Error& error) {
  return Status(code_from_error(error), error.detail.empty() ? error.to_string() : error.detail);
}

Status::More& Status::more() {
  if (!more_) more_ = std::make_unique<More>();
  return *more_;
}

const std::string& Status::message() const noexcept {
  static const std::string kNone;
  return more_ ? more_->message : kNone;
}

const std::vector<Detail>& Status::details() const noexcept {
  static const std::vector<Detail> kNone;
  return more_ ? more_->details : kNone;
}

Status& Status::detail(const google::protobuf::Message& message) & {
  return detail(
      Detail{"type.googleapis.com/" + message.GetTypeName(), message.SerializeAsString()});
}

Status& Status::detail(Detail any) & {
  more().details.push_back(std::move(any));
  return *this;
}

bool Status::find_detail(google::protobuf::Message& message) const {
  const std::string wanted = message.GetTypeName();
  for (const Detail& detail : details()) {
    if (detail.type() == wanted) return message.ParseFromString(detail.value);
  }
  return false;
}

std::string Status::to_string() const {
  std::string text(upper_name_of(code_));
  if (!message().empty()) text.append(": ").append(message());
  return text;
}

std::string serialise(const Status& status) {
  std::string bytes;
  StringOutputStream stream(&bytes);
  CodedOutputStream out(&stream);
  if (!status.ok()) {
    out.WriteTag(tag(kCodeField, WireFormatLite::WIRETYPE_VARINT));
    out.WriteVarint32(static_cast<std::uint32_t>(status.code()));
  }
  if (!status.message().empty()) write_text(out, kMessageField, status.message());
  for (const Detail& detail : status.details()) {
    std::string any;
    {
      StringOutputStream any_stream(&any);
      CodedOutputStream any_out(&any_stream);
      if (!detail.type_url.empty()) write_text(any_out, kTypeUrlField, detail.type_url);
      if (!detail.value.empty()) write_text(any_out, kValueField, detail.value);
    }
    write_text(out, kDetailsField, any);
  }
  out.Trim();
  return bytes;
}

std::optional<Status> parse_status(std::string_view bytes) {
  CodedInputStream in = input(bytes);
  std::uint64_t code = 0;
  std::string message;
  std::vector<Detail> details;
  for (;;) {
    const std::uint32_t next = in.ReadTag();
    if (next == 0) {
      if (!in.ConsumedEntireMessage()) return std::nullopt;
      break;
    }
    bool read = false;
    if (next == tag(kCodeField, WireFormatLite::WIRETYPE_VARINT)) {
      read = in.ReadVarint64(&code);
    } else if (next == tag(kMessageField, WireFormatLite::WIRETYPE_LENGTH_DELIMITED)) {
      read = read_text(in, message);
    } else if (next == tag(kDetailsField, WireFormatLite::WIRETYPE_LENGTH_DELIMITED)) {
      std::string any;
      read = read_text(in, any) && parse_detail(any, details.emplace_back());
    } else {
      read = WireFormatLite::SkipField(&in, next);
    }
    if (!read) return std::nullopt;
  }
  Status status(code < kCodes ? static_cast<Code>(code) : Code::unknown, std::move(message));
  for (Detail& detail : details) status.detail(std::move(detail));
  return status;
}

}  // namespace tern::rpc
