// Debian's C++ gRPC as the other side of tools/bench/rpc/run, which compiles it by itself: gRPC
// brings OpenSSL, and nothing of tern is linked with it. One thread and one completion queue each,
// which is its fastest.
//
//   grpc_bench server PORT CERT KEY
//   grpc_bench client HOST:PORT CA unary|download|pingpong CONCURRENT SECONDS

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include <grpcpp/grpcpp.h>

#include "echo.grpc.pb.h"

namespace {

using tern::bench::Echo;
using tern::bench::Payload;
using tern::bench::Wanted;
using Clock = std::chrono::steady_clock;

std::string read_file(const char* path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

/// What the completion queue's tags are.
struct Tag {
  virtual ~Tag() = default;
  virtual void proceed(bool ok) = 0;
};

// ---- server -------------------------------------------------------------------------------------

struct Serving {
  Echo::AsyncService service;
  std::unique_ptr<grpc::ServerCompletionQueue> queue;
};

class UnaryCall final : public Tag {
 public:
  explicit UnaryCall(Serving& serving) : serving_(serving), responder_(&context_) {
    serving_.service.RequestUnary(&context_, &request_, &responder_, serving_.queue.get(),
                                  serving_.queue.get(), this);
  }
  void proceed(bool ok) override {
    if (done_ || !ok) {
      delete this;
      return;
    }
    new UnaryCall(serving_);
    done_ = true;
    response_ = request_;
    responder_.Finish(response_, grpc::Status::OK, this);
  }

 private:
  Serving& serving_;
  grpc::ServerContext context_;
  Payload request_;
  Payload response_;
  grpc::ServerAsyncResponseWriter<Payload> responder_;
  bool done_ = false;
};

class DownloadCall final : public Tag {
 public:
  explicit DownloadCall(Serving& serving) : serving_(serving), writer_(&context_) {
    serving_.service.RequestDownload(&context_, &request_, &writer_, serving_.queue.get(),
                                     serving_.queue.get(), this);
  }
  void proceed(bool ok) override {
    if (finished_ || !ok) {
      delete this;
      return;
    }
    if (!began_) {
      new DownloadCall(serving_);
      began_ = true;
      response_.set_body(std::string(request_.size(), 'x'));
    }
    if (sent_++ < request_.count()) {
      writer_.Write(response_, this);
    } else {
      finished_ = true;
      writer_.Finish(grpc::Status::OK, this);
    }
  }

 private:
  Serving& serving_;
  grpc::ServerContext context_;
  Wanted request_;
  Payload response_;
  grpc::ServerAsyncWriter<Payload> writer_;
  std::uint32_t sent_ = 0;
  bool began_ = false;
  bool finished_ = false;
};

class PingPongCall final : public Tag {
 public:
  explicit PingPongCall(Serving& serving) : serving_(serving), stream_(&context_) {
    serving_.service.RequestPingPong(&context_, &stream_, serving_.queue.get(),
                                     serving_.queue.get(), this);
  }
  void proceed(bool ok) override {
    if (state_ == State::finished || (state_ == State::waiting && !ok)) {
      delete this;
      return;
    }
    if (state_ == State::waiting) new PingPongCall(serving_);
    if (state_ == State::reading && !ok) {
      state_ = State::finished;
      stream_.Finish(grpc::Status::OK, this);
    } else if (state_ == State::reading) {
      state_ = State::writing;
      stream_.Write(message_, this);
    } else {
      state_ = State::reading;
      stream_.Read(&message_, this);
    }
  }

 private:
  enum class State { waiting, reading, writing, finished };
  Serving& serving_;
  grpc::ServerContext context_;
  Payload message_;
  grpc::ServerAsyncReaderWriter<Payload, Payload> stream_;
  State state_ = State::waiting;
};

int serve(const std::string& port, const char* cert, const char* key) {
  Serving serving;
  grpc::SslServerCredentialsOptions options;
  options.pem_key_cert_pairs.push_back({read_file(key), read_file(cert)});
  grpc::ServerBuilder builder;
  builder.AddListeningPort("[::]:" + port, grpc::SslServerCredentials(options));
  builder.RegisterService(&serving.service);
  serving.queue = builder.AddCompletionQueue();
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (!server) return 1;
  for (int i = 0; i < 200; ++i) new UnaryCall(serving);
  new DownloadCall(serving);
  new PingPongCall(serving);
  std::printf("listening\n");
  std::fflush(stdout);
  void* tag = nullptr;
  bool ok = false;
  while (serving.queue->Next(&tag, &ok)) static_cast<Tag*>(tag)->proceed(ok);
  return 0;
}

// ---- client -------------------------------------------------------------------------------------

struct Load {
  std::unique_ptr<Echo::Stub> stub;
  grpc::CompletionQueue queue;
  Clock::time_point end;
  std::size_t left = 0;
  std::uint64_t count = 0;
  std::uint64_t failed = 0;
  std::vector<double> took;
};

class ClientUnary final : public Tag {
 public:
  explicit ClientUnary(Load& load) : load_(load) {
    request_.set_body(std::string(64, 'x'));
    begin();
  }
  void proceed(bool) override {
    ++(status_.ok() && response_.body().size() == 64 ? load_.count : load_.failed);
    load_.took.push_back(std::chrono::duration<double, std::micro>(Clock::now() - begun_).count());
    if (Clock::now() < load_.end) {
      begin();
    } else {
      --load_.left;
      delete this;
    }
  }

 private:
  void begin() {
    context_ = std::make_unique<grpc::ClientContext>();
    begun_ = Clock::now();
    reader_ = load_.stub->AsyncUnary(context_.get(), request_, &load_.queue);
    reader_->Finish(&response_, &status_, this);
  }

  Load& load_;
  Payload request_;
  Payload response_;
  grpc::Status status_;
  std::unique_ptr<grpc::ClientContext> context_;
  std::unique_ptr<grpc::ClientAsyncResponseReader<Payload>> reader_;
  Clock::time_point begun_;
};

void run_unary(Load& load, std::size_t concurrent) {
  load.left = concurrent;
  for (std::size_t i = 0; i < concurrent; ++i) new ClientUnary(load);
  void* tag = nullptr;
  bool ok = false;
  while (load.left > 0 && load.queue.Next(&tag, &ok)) static_cast<Tag*>(tag)->proceed(ok);
}

void run_download(Load& load) {
  Wanted wanted;
  wanted.set_count(10'000);
  wanted.set_size(1024);
  while (Clock::now() < load.end) {
    grpc::ClientContext context;
    const auto reader = load.stub->Download(&context, wanted);
    Payload response;
    while (reader->Read(&response)) ++load.count;
    if (!reader->Finish().ok()) ++load.failed;
  }
}

void run_ping_pong(Load& load) {
  grpc::ClientContext context;
  const auto stream = load.stub->PingPong(&context);
  Payload message;
  message.set_body(std::string(64, 'x'));
  while (Clock::now() < load.end) {
    const auto begun = Clock::now();
    if (!stream->Write(message) || !stream->Read(&message)) break;
    ++load.count;
    load.took.push_back(std::chrono::duration<double, std::micro>(Clock::now() - begun).count());
  }
  stream->WritesDone();
  if (!stream->Finish().ok()) ++load.failed;
}

int call(char** arguments) {
  grpc::SslCredentialsOptions options;
  options.pem_root_certs = read_file(arguments[3]);
  Load load;
  const auto channel = grpc::CreateChannel(arguments[2], grpc::SslCredentials(options));
  channel->WaitForConnected(std::chrono::system_clock::now() + std::chrono::seconds(10));
  load.stub = Echo::NewStub(channel);
  const std::string what = arguments[4];
  const double seconds = std::atof(arguments[6]);
  load.end = Clock::now() +
             std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  if (what == "download") {
    run_download(load);
  } else if (what == "pingpong") {
    run_ping_pong(load);
  } else {
    run_unary(load, static_cast<std::size_t>(std::atoi(arguments[5])));
  }
  std::sort(load.took.begin(), load.took.end());
  std::printf(
      "%llu calls, %llu failed, %.0f/s, p50 %.1f us\n", static_cast<unsigned long long>(load.count),
      static_cast<unsigned long long>(load.failed), static_cast<double>(load.count) / seconds,
      load.took.empty() ? 0 : load.took[load.took.size() / 2]);
  return load.failed == 0 ? 0 : 1;
}

}  // namespace

int main(int count, char** arguments) {
  const std::string role = count > 1 ? arguments[1] : "";
  if (role == "server" && count == 5) return serve(arguments[2], arguments[3], arguments[4]);
  if (role == "client" && count == 7) return call(arguments);
  std::fputs(
      "usage: grpc_bench server PORT CERT KEY | client HOST:PORT CA WHAT CONCURRENT SECONDS\n",
      stderr);
  return 2;
}
