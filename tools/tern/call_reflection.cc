#include "tools/tern/call_reflection.h"

#include <algorithm>
#include <memory>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "rpc/client_context.h"

namespace tern::cli {
namespace {

namespace pb = google::protobuf;
namespace v1 = grpc::reflection::v1;

/// Questions in one call: few enough for their answers' flow control not to matter.
constexpr std::size_t kMostQuestions = 64;

/// The messages of both versions are the same but for their names.
rpc::Method method_of(std::string_view path) {
  rpc::Method method;
  method.path = path;
  method.pattern = rpc::Pattern::bidi_stream;
  method.descriptor = v1::ServerReflectionRequest::descriptor()->file()->service(0)->method(0);
  method.request = &v1::ServerReflectionRequest::default_instance();
  method.response = &v1::ServerReflectionResponse::default_instance();
  return method;
}

rpc::Status error_of(const v1::ErrorResponse& error) {
  const int code = error.error_code();
  const bool known = code > 0 && code < static_cast<int>(rpc::kCodes);
  return rpc::Status(known ? static_cast<rpc::Code>(code) : rpc::Code::unknown,
                     error.error_message());
}

rpc::Status strange(std::string_view what) {
  return rpc::Status(rpc::Code::internal, fmt::format("the server's reflection answers {}", what));
}

}  // namespace

Task<rpc::Result<std::vector<ReflectionClient::Response>>> ReflectionClient::ask_version(
    const rpc::Method& method, const std::vector<Request>& requests) {
  rpc::ClientContext context;
  context.metadata() = metadata_;
  context.timeout(patience_);
  rpc::Result<std::unique_ptr<rpc::ClientCall>> call = co_await channel_.open(method, context);
  if (!call) co_return rpc::fail(std::move(call).error());
  for (const Request& request : requests) {
    const bool sent = co_await (*call)->send(request);
    if (!sent) break;
  }
  (*call)->half_close();
  std::vector<Response> responses;
  while (responses.size() < requests.size()) {
    Response response;
    const bool more = co_await (*call)->receive(response);
    if (!more) break;
    responses.push_back(std::move(response));
  }
  // What else it may say is not waited for, once all is answered.
  if (responses.size() == requests.size()) co_return responses;
  rpc::Status status = co_await (*call)->finish();
  if (status.ok()) status = strange("with too few messages");
  co_return rpc::fail(std::move(status));
}

Task<rpc::Result<std::vector<ReflectionClient::Response>>> ReflectionClient::ask(
    std::vector<Request> requests) {
  static const rpc::Method kNew =
      method_of("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo");
  static const rpc::Method kOld =
      method_of("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo");
  if (!old_) {
    rpc::Result<std::vector<Response>> answers = co_await ask_version(kNew, requests);
    if (answers || answers.error().code() != rpc::Code::unimplemented) co_return answers;
    old_ = true;
  }
  co_return co_await ask_version(kOld, requests);
}

Task<rpc::Result<std::vector<std::string>>> ReflectionClient::services() {
  std::vector<Request> requests(1);
  requests.front().set_list_services("");
  rpc::Result<std::vector<Response>> answers = co_await ask(std::move(requests));
  if (!answers) co_return rpc::fail(std::move(answers).error());
  const Response& answer = answers->front();
  if (answer.has_error_response()) co_return rpc::fail(error_of(answer.error_response()));
  if (!answer.has_list_services_response()) co_return rpc::fail(strange("something else"));
  std::set<std::string> names;
  for (const auto& service : answer.list_services_response().service()) {
    names.insert(service.name());
  }
  co_return std::vector<std::string>(names.begin(), names.end());
}

rpc::Status ReflectionClient::take(const Response& response, Schema::Files& files) {
  if (response.has_error_response()) return error_of(response.error_response());
  if (!response.has_file_descriptor_response()) return strange("something else");
  for (const std::string& bytes : response.file_descriptor_response().file_descriptor_proto()) {
    bytes_ += bytes.size();
    if (bytes_ > kMostBytes || files.size() >= kMostFiles) {
      return rpc::Status(rpc::Code::resource_exhausted,
                         fmt::format("the server's reflection sends more than {} files or {} MiB",
                                     kMostFiles, kMostBytes >> 20));
    }
    pb::FileDescriptorProto file;
    if (!file.ParseFromString(bytes) || file.name().empty()) {
      return strange("with a file descriptor that cannot be read");
    }
    std::string name = file.name();
    files.try_emplace(std::move(name), std::move(file));
  }
  return rpc::Status();
}

Task<rpc::Status> ReflectionClient::complete(Schema::Files& files) {
  std::set<std::string> unknown;  // to the server; tern may have them
  for (;;) {
    std::set<std::string> missing;
    for (const auto& [name, file] : files) {
      for (const std::string& import : file.dependency()) {
        if (!files.contains(import) && !unknown.contains(import)) missing.insert(import);
      }
    }
    if (missing.empty()) co_return rpc::Status();
    std::vector<Request> requests;
    for (const std::string& name : missing) {
      if (requests.size() == kMostQuestions) break;
      requests.emplace_back().set_file_by_filename(name);
    }
    const std::vector<Request> asked = requests;
    rpc::Result<std::vector<Response>> answers = co_await ask(std::move(requests));
    if (!answers) co_return std::move(answers).error();
    for (std::size_t i = 0; i < asked.size(); ++i) {
      const rpc::Status taken = take((*answers)[i], files);
      if (!taken.ok() && taken.code() != rpc::Code::not_found) co_return taken;
      // Also when another file came instead, so that no question is asked twice.
      const std::string& name = asked[i].file_by_filename();
      if (!files.contains(name)) unknown.insert(name);
    }
  }
}

Task<rpc::Status> ReflectionClient::add_symbol(Schema& schema, std::string symbol) {
  std::vector<Request> requests(1);
  requests.front().set_file_containing_symbol(symbol);
  rpc::Result<std::vector<Response>> answers = co_await ask(std::move(requests));
  if (!answers) co_return std::move(answers).error();
  Schema::Files files;
  rpc::Status status = take(answers->front(), files);
  if (!status.ok()) co_return status;
  status = co_await complete(files);
  if (!status.ok()) co_return status;
  const Result<void> added = schema.add(std::move(files));
  if (!added) co_return strange("with files that do not fit together: " + added.error().detail);
  co_return rpc::Status();
}

}  // namespace tern::cli
