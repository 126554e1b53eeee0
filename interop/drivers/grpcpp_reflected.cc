// A server of grpc.testing.TestService with C++ gRPC's own reflection, in clear text:
// grpcpp_reflected PORT. Says "listening", serves until it is ended. Compiled beside what protoc
// makes of test.proto.

#include <cstdio>
#include <memory>
#include <string>

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>

#include "test.grpc.pb.h"

using grpc::Status;
namespace pb = grpc::testing;

class Service final : public pb::TestService::Service {
  Status EmptyCall(grpc::ServerContext*, const pb::Empty*, pb::Empty*) override {
    return Status::OK;
  }
  Status UnaryCall(grpc::ServerContext*, const pb::SimpleRequest* request,
                   pb::SimpleResponse* response) override {
    if (request->has_response_status()) {
      return Status(static_cast<grpc::StatusCode>(request->response_status().code()),
                    request->response_status().message());
    }
    response->mutable_payload()->set_body(std::string(request->response_size(), 'x'));
    return Status::OK;
  }
  Status FullDuplexCall(grpc::ServerContext*,
                        grpc::ServerReaderWriter<pb::StreamingOutputCallResponse,
                                                 pb::StreamingOutputCallRequest>* stream) override {
    pb::StreamingOutputCallRequest request;
    while (stream->Read(&request)) {
      for (const auto& wanted : request.response_parameters()) {
        pb::StreamingOutputCallResponse response;
        response.mutable_payload()->set_body(std::string(wanted.size(), 'x'));
        stream->Write(response);
      }
    }
    return Status::OK;
  }
};

int main(int argument_count, char** arguments) {
  if (argument_count != 2) return std::fputs("usage: grpcpp_reflected PORT\n", stderr), 2;
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  Service service;
  grpc::ServerBuilder builder;
  builder.AddListeningPort(std::string("127.0.0.1:") + arguments[1],
                           grpc::InsecureServerCredentials());
  builder.RegisterService(&service);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) return 1;
  std::puts("listening");
  std::fflush(stdout);
  server->Wait();
}
