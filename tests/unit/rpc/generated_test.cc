#include <set>
#include <string>
#include <type_traits>

#include <google/protobuf/descriptor.h>

#include "rpc/service.h"
#include "strange_names.tern.h"
#include "tools/rpc_interop/test_service.h"

/// What protoc-gen-tern makes of services.

namespace tern::rpc {
namespace {

TEST(Generated, AMethodForEachOfTheService) {
  rpc_interop::TestService service;
  ASSERT_EQ(service.descriptor()->full_name(), "grpc.testing.TestService");
  EXPECT_EQ(grpc::testing::TestService::kName, service.descriptor()->full_name());
  ASSERT_EQ(service.methods().size(),
            static_cast<std::size_t>(service.descriptor()->method_count()));
  EXPECT_EQ(service.methods().data(), service.methods().data());
  for (const Method& method : service.methods()) {
    EXPECT_EQ(method.path, "/grpc.testing.TestService/" + method.descriptor->name());
    EXPECT_EQ(method.request->GetDescriptor(), method.descriptor->input_type());
    EXPECT_EQ(method.response->GetDescriptor(), method.descriptor->output_type());
    EXPECT_EQ(streams_requests(method.pattern), method.descriptor->client_streaming());
    EXPECT_EQ(streams_responses(method.pattern), method.descriptor->server_streaming());
    const int set = (method.unary != nullptr) + (method.client_stream != nullptr) +
                    (method.server_stream != nullptr) + (method.bidi_stream != nullptr);
    EXPECT_EQ(set, 1);
  }
}

TEST(Generated, NamesThatCppHasForItself) {
  tern::test::strange::class_ service;
  ASSERT_EQ(service.methods().size(), 3u);
  EXPECT_EQ(service.methods()[0].path, "/tern.test.strange.class/delete");
  EXPECT_EQ(service.methods()[1].path, "/tern.test.strange.class/methods");
  EXPECT_EQ(service.methods()[1].pattern, Pattern::server_stream);
  EXPECT_EQ(service.methods()[2].pattern, Pattern::bidi_stream);
  using Delete = Task<Status> (tern::test::strange::class_::*)(
      ServerContext&, const tern::test::strange::Outer_Inner&, tern::test::strange::Outer&);
  static_assert(std::is_same_v<decltype(&tern::test::strange::class_::delete_), Delete>);
  EXPECT_TRUE(tern::test::strange::Empty().methods().empty());
}

}  // namespace
}  // namespace tern::rpc
