#include "rpc/services/reflection.h"

#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>

#include "grpc/reflection/v1/reflection.tern.h"
#include "grpc/reflection/v1alpha/reflection.tern.h"
#include "rpc/server_context.h"

namespace tern::rpc {

namespace {

namespace pb = google::protobuf;

/// What there is to tell: the services' names, and the pools that know their files.
struct Schema {
  std::vector<std::string> services;
  std::vector<const pb::DescriptorPool*> pools;

  void add(const pb::ServiceDescriptor& service) {
    services.push_back(service.full_name());
    const pb::DescriptorPool* pool = service.file()->pool();
    if (std::find(pools.begin(), pools.end(), pool) == pools.end()) pools.push_back(pool);
  }
  /// The first that one of the pools finds.
  template <typename Find>
  auto find(Find look) const -> decltype(look(*pools.front())) {
    for (const pb::DescriptorPool* pool : pools) {
      if (auto* found = look(*pool)) return found;
    }
    return nullptr;
  }
};

/// The two versions are the same but for their names.
template <typename Base, typename Request, typename Response>
class Reflection final : public Base {
 public:
  explicit Reflection(std::shared_ptr<const Schema> schema) : schema_(std::move(schema)) {}

  Task<Status> ServerReflectionInfo(ServerContext&, Reader<Request>& requests,
                                    Writer<Response>& responses) override {
    std::set<std::string> sent;  // a client keeps what it has been told in one call
    Request request;
    for (;;) {
      const bool more = co_await requests.receive(request);
      if (!more) co_return requests.status();
      Response response;
      answer(request, response, sent);
      const bool went = co_await responses.send(response);
      if (!went) co_return Status(Code::cancelled);
    }
  }

 private:
  void answer(const Request& request, Response& response, std::set<std::string>& sent) const {
    response.set_valid_host(request.host());
    *response.mutable_original_request() = request;
    switch (request.message_request_case()) {
      case Request::kFileByFilename:
        return tell_file(response, sent, schema_->find([&](const pb::DescriptorPool& pool) {
          return pool.FindFileByName(request.file_by_filename());
        }));
      case Request::kFileContainingSymbol:
        return tell_file(response, sent, schema_->find([&](const pb::DescriptorPool& pool) {
          return pool.FindFileContainingSymbol(request.file_containing_symbol());
        }));
      case Request::kFileContainingExtension: {
        const auto& wanted = request.file_containing_extension();
        const auto* extension = schema_->find([&](const pb::DescriptorPool& pool) {
          const auto* type = pool.FindMessageTypeByName(wanted.containing_type());
          return type != nullptr ? pool.FindExtensionByNumber(type, wanted.extension_number())
                                 : nullptr;
        });
        return tell_file(response, sent, extension != nullptr ? extension->file() : nullptr);
      }
      case Request::kAllExtensionNumbersOfType:
        return tell_extensions(response, request.all_extension_numbers_of_type());
      case Request::kListServices:
        for (const std::string& service : schema_->services) {
          response.mutable_list_services_response()->add_service()->set_name(service);
        }
        return;
      case Request::MESSAGE_REQUEST_NOT_SET: break;
    }
    refuse(response, Code::invalid_argument, "nothing is asked for");
  }

  static void refuse(Response& response, Code code, const char* why) {
    response.mutable_error_response()->set_error_code(static_cast<int>(code));
    response.mutable_error_response()->set_error_message(why);
  }

  /// The file, and what it imports, unless that was sent already; the file itself always.
  static void tell_file(Response& response, std::set<std::string>& sent,
                        const pb::FileDescriptor* file) {
    if (file == nullptr)
      return refuse(response, Code::not_found, "there is no such file or symbol");
    std::vector<const pb::FileDescriptor*> waiting{file};
    for (std::size_t i = 0; i < waiting.size(); ++i) {
      const pb::FileDescriptor& next = *waiting[i];
      if (!sent.insert(next.name()).second && i > 0) continue;
      pb::FileDescriptorProto proto;
      next.CopyTo(&proto);
      // The names of JSON are in what protoc gives, and not in a copy.
      next.CopyJsonNameTo(&proto);
      *response.mutable_file_descriptor_response()->add_file_descriptor_proto() =
          proto.SerializeAsString();
      for (int k = 0; k < next.dependency_count(); ++k) waiting.push_back(next.dependency(k));
    }
  }

  void tell_extensions(Response& response, const std::string& name) const {
    const auto* type = schema_->find(
        [&](const pb::DescriptorPool& pool) { return pool.FindMessageTypeByName(name); });
    if (type == nullptr) return refuse(response, Code::not_found, "there is no such message");
    auto* numbers = response.mutable_all_extension_numbers_response();
    numbers->set_base_type_name(name);
    std::vector<const pb::FieldDescriptor*> extensions;
    type->file()->pool()->FindAllExtensions(type, &extensions);
    for (const pb::FieldDescriptor* extension : extensions) {
      numbers->add_extension_number(extension->number());
    }
  }

  std::shared_ptr<const Schema> schema_;
};

namespace latest = grpc::reflection::v1;
namespace v1alpha = grpc::reflection::v1alpha;

}  // namespace

void add_reflection(Services& services) {
  auto schema = std::make_shared<Schema>();
  services.push_back(
      std::make_shared<Reflection<latest::ServerReflection, latest::ServerReflectionRequest,
                                  latest::ServerReflectionResponse>>(schema));
  services.push_back(
      std::make_shared<Reflection<v1alpha::ServerReflection, v1alpha::ServerReflectionRequest,
                                  v1alpha::ServerReflectionResponse>>(schema));
  for (const std::shared_ptr<Service>& service : services) schema->add(*service->descriptor());
}

}  // namespace tern::rpc
