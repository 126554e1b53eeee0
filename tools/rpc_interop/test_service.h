#pragma once

#include "grpc/testing/test.tern.h"
#include "rpc/server_context.h"
#include "rpc/status.h"

namespace tern::rpc_interop {

/// grpc.testing.TestService as doc/interop-test-descriptions.md of grpc/grpc wants it.
class TestService final : public grpc::testing::TestService {
 public:
  Task<rpc::Status> EmptyCall(rpc::ServerContext& context, const grpc::testing::Empty& request,
                              grpc::testing::Empty& response) override;
  Task<rpc::Status> UnaryCall(rpc::ServerContext& context,
                              const grpc::testing::SimpleRequest& request,
                              grpc::testing::SimpleResponse& response) override;
  Task<rpc::Status> CacheableUnaryCall(rpc::ServerContext& context,
                                       const grpc::testing::SimpleRequest& request,
                                       grpc::testing::SimpleResponse& response) override;
  Task<rpc::Status> StreamingOutputCall(
      rpc::ServerContext& context, const grpc::testing::StreamingOutputCallRequest& request,
      rpc::Writer<grpc::testing::StreamingOutputCallResponse>& responses) override;
  Task<rpc::Status> StreamingInputCall(
      rpc::ServerContext& context, rpc::Reader<grpc::testing::StreamingInputCallRequest>& requests,
      grpc::testing::StreamingInputCallResponse& response) override;
  Task<rpc::Status> FullDuplexCall(
      rpc::ServerContext& context, rpc::Reader<grpc::testing::StreamingOutputCallRequest>& requests,
      rpc::Writer<grpc::testing::StreamingOutputCallResponse>& responses) override;
  Task<rpc::Status> HalfDuplexCall(
      rpc::ServerContext& context, rpc::Reader<grpc::testing::StreamingOutputCallRequest>& requests,
      rpc::Writer<grpc::testing::StreamingOutputCallResponse>& responses) override;
};

}  // namespace tern::rpc_interop
