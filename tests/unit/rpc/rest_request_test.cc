#include "rpc/rest_request.h"

#include <algorithm>
#include <array>
#include <memory>
#include <tuple>

#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include "google/rpc/error_details.pb.h"
#include "library.pb.h"
#include "rpc/server_rest.h"

namespace tern::rpc {
namespace {

namespace pb = google::protobuf;
using tern::test::Book;
using tern::test::Books;
using tern::test::Everything;
using tern::test::GetBook;
using tern::test::Upload;
using ::testing::HasSubstr;

/// The routes of one method that takes and gives an Everything, by its google.api.http in text.
class Rule {
 public:
  explicit Rule(const std::string& rule) : pool_(pb::DescriptorPool::generated_pool()) {
    EXPECT_NE(Everything::descriptor(), nullptr);  // the generated pool knows the file from here on
    pb::FileDescriptorProto file;
    file.set_name("rule.proto");
    file.set_syntax("proto3");
    file.add_dependency("library.proto");
    auto* service = file.add_service();
    service->set_name("Ruled");
    auto* made = service->add_method();
    made->set_name("Call");
    made->set_input_type(".tern.test.Everything");
    made->set_output_type(".tern.test.Everything");
    EXPECT_TRUE(pb::TextFormat::ParseFromString("[google.api.http] { " + rule + " }",
                                                made->mutable_options()));
    const auto* built = pool_.BuildFile(file);
    EXPECT_NE(built, nullptr) << rule;
    auto made_routes = rest_routes(*built->service(0)->method(0));
    EXPECT_TRUE(made_routes) << made_routes.error().detail;
    routes = std::move(*made_routes);
  }
  std::vector<RestRoute> routes;

 private:
  pb::DescriptorPool pool_;
};

RestRoute library(const std::string& name) {
  const auto* found =
      pb::DescriptorPool::generated_pool()->FindMethodByName("tern.test.Library." + name);
  EXPECT_NE(found, nullptr) << name;
  return rest_routes(*found)->front();
}

template <typename Message>
Message parsed_text(const std::string& text) {
  Message message;
  EXPECT_TRUE(pb::TextFormat::ParseFromString(text, &message)) << text;
  return message;
}

/// What the server makes of a call.
template <typename Request>
Request served(const RestRoute& route, const RestCall& call) {
  PathTable table;
  EXPECT_TRUE(table.add(route.http_method, route.path, 0));
  const std::string_view target = call.target;
  const std::size_t mark = std::min(target.find('?'), target.size());
  const PathTable::Match match = table.find(call.method, target.substr(0, mark));
  EXPECT_EQ(match.outcome, PathTable::Match::Outcome::found) << target;
  Request request;
  const RestRequest from{match.values, target.substr(std::min(mark + 1, target.size())),
                         call.content_type, call.body};
  const auto bound = bind(route, from, request);
  EXPECT_TRUE(bound) << bound.error().to_string();
  return request;
}

struct Case {
  const char* rule;
  const char* request;
  const char* target;
  const char* body = "";
};

TEST(RestCall, IsWhatTheServerBinds) {
  const Case cases[] = {
      // paths
      {"get: '/v1/{s}'", "s: 'a'", "GET /v1/a"},
      {"get: '/v1/{s}'", "s: 'a/b c?d#e%f&g=h+i:j'",
       "GET /v1/a%2Fb%20c%3Fd%23e%25f%26g%3Dh%2Bi%3Aj"},
      {"get: '/v1/{s}'", "s: '\303\244%2F'", "GET /v1/%C3%A4%252F"},
      {"get: '/v1/{s}:act'", "s: 'a:b'", "GET /v1/a%3Ab:act"},
      {"get: '/v1/{s=shelves/*/books/*}'", "s: 'shelves/1/books/a b'",
       "GET /v1/shelves/1/books/a%20b"},
      {"get: '/v1/{s=shelves/*}/of/{left}:do'", "s: 'shelves/1%2F2' left: 'x'",
       "GET /v1/shelves/1%252F2/of/x:do"},
      {"get: '/v1/{s=**}'", "s: 'a/b/../c'", nullptr},
      {"get: '/v1/{s=**}'", "s: 'a/b//c'", "GET /v1/a/b//c"},
      {"get: '/v1/{s=**}:x'", "", "GET /v1:x"},
      {"get: '/{s=**}'", "", "GET /"},
      {"get: '/v1/{s=files/**}'", "s: 'files/a/b'", "GET /v1/files/a/b"},
      {"get: '/a%20b/(c)/**'", "", "GET /a%20b/(c)"},
      {"get: '/v1/{i32}/{i64}/{u64}/{b}/{genre}'", "i32: -5 u64: 18446744073709551615",
       "GET /v1/-5/0/18446744073709551615/false/GENRE_UNKNOWN"},
      {"get: '/v1/{at}/{raw}/{d}'", "at { seconds: 1577934245 } raw: '\373\377' d: 1e300",
       "GET /v1/2020-01-02T03%3A04%3A05Z/-_8/1e%2B300"},
      {"get: '/v1/{book.author.name}'", "book { author { name: 'Q' born: 1 } title: 'T' }",
       "GET /v1/Q?book.title=T&book.author.born=1"},
      {"get: '/v1/{perhaps}'", "perhaps: 0", "GET /v1/0"},
      // queries
      {"get: '/v1'", "numbers: 3 numbers: 1 numbers: 2", "GET /v1?numbers=3&numbers=1&numbers=2"},
      {"get: '/v1'", "s: 'a&b=c+d e' renamed: '\303\244'",
       "GET /v1?s=a%26b%3Dc%2Bd%20e&renamed=%C3%A4"},
      {"get: '/v1'", "f: -inf d: 0.1 b: true raw: '\373\377' genre: POEM",
       "GET /v1?f=-Infinity&d=0.1&b=true&raw=-_8&genre=POEM"},
      {"get: '/v1'",
       "took { nanos: 500000000 } mask { paths: 'a' paths: 'b_c' } maybe { } "
       "flag { value: true } count { value: -7 }",
       "GET /v1?took=0.500s&mask=a%2CbC&maybe=&flag=true&count=-7"},
      {"get: '/v1'", "maybe { value: '\"\\\\' } perhaps: 0 left: ''",
       "GET /v1?maybe=%22%5C&left=&perhaps=0"},
      {"get: '/v1'", "book { tags: 'a' tags: '' author { teacher { born: -1 } } } genre: 7",
       "GET /v1?genre=7&book.tags=a&book.tags=&book.author.teacher.born=-1"},
      {"delete: '/v1/{i64}'", "i64: 4", "DELETE /v1/4"},
      // bodies
      {"post: '/v1/{s}' body: '*'", "s: 'a' i32: 1 labels { key: 'k' value: 'v' }", "POST /v1/a",
       R"({"i32":1,"labels":{"k":"v"}})"},
      {"post: '/v1' body: '*'", "", "POST /v1", "{}"},
      {"patch: '/v1/{book.name}' body: 'book'", "book { name: 'a' title: 'T' } b: true",
       "PATCH /v1/a?b=true", R"({"title":"T"})"},
      {"put: '/v1/{book.name}' body: 'book'", "book { name: 'a' }", "PUT /v1/a", "{}"},
      {"post: '/v1' body: 'numbers'", "numbers: 1 numbers: 2 s: 'x'", "POST /v1?s=x", "[1,2]"},
      {"post: '/v1' body: 'books'", "books { title: 'T' }", "POST /v1", R"([{"title":"T"}])"},
      {"post: '/v1' body: 'book'", "i32: 1", "POST /v1?i32=1"},
      {"post: '/v1' body: 's'", "s: '\"'", "POST /v1", R"("\"")"},
      {"custom { kind: '*' path: '/v1/{s}' }", "s: 'a'", "GET /v1/a"},
      {"custom { kind: 'PURGE' path: '/v1/{s}' }", "s: 'a'", "PURGE /v1/a"},
  };
  for (const Case& each : cases) {
    SCOPED_TRACE(std::string(each.rule) + " " + each.request);
    const Rule rule(each.rule);
    const auto request = parsed_text<Everything>(each.request);
    const auto call = rest_call(rule.routes.front(), request);
    ASSERT_EQ(call.has_value(), each.target != nullptr);
    if (!call) continue;
    EXPECT_EQ(call->method + " " + call->target, each.target);
    EXPECT_EQ(call->body, each.body);
    EXPECT_EQ(call->content_type, call->body.empty() ? "" : "application/json");
    EXPECT_EQ(served<Everything>(rule.routes.front(), *call).ShortDebugString(),
              request.ShortDebugString());
  }
}

TEST(RestCall, RefusesWhatTheRouteCannotCarry) {
  std::string many = "";
  for (int i = 0; i < 1025; ++i) many.append("numbers: 1 ");
  std::string deep = "born: 1";
  for (int i = 0; i < 32; ++i) deep = "teacher { " + deep + " }";
  deep = "book { author { " + deep + " } }";
  const std::array<std::string, 3> cases[] = {
      {"get: '/v1/{s}'", "", "field s is in the path and not set"},
      {"get: '/v1/{perhaps}'", "", "field perhaps is in the path and not set"},
      {"get: '/v1/{book.pages}'", "", "field book.pages is in the path and not set"},
      {"get: '/v1/{s}'", "s: '..'", "\"..\" means another path"},
      {"get: '/v1/{s=a/*}'", "s: 'a/.'", "\"a/.\" means another path"},
      {"get: '/v1/{s=shelves/*/books/*}'", "s: 'shelves/1'", "is not like shelves/*/books/*"},
      {"get: '/v1/{s=shelves/*}'", "s: 'shelves/1/2'", "is not like shelves/*"},
      {"get: '/v1/{s=shelves/*}'", "s: 'shelves/'", "is not like shelves/*"},
      {"get: '/v1/{s=shelves/*}'", "s: 'rooms/1'", "is not like shelves/*"},
      {"get: '/v1/{s=all}'", "s: 'one'", "is not like all"},
      {"get: '/v1/*/x'", "", "which nothing fills"},
      {"get: '/v1'", "labels { key: 'k' value: 'v' }", "field labels cannot be in a query"},
      {"get: '/v1'", "books { }", "it is a list of messages"},
      {"get: '/v1'", "book { author { } }", "field book.author cannot be in a query"},
      {"get: '/v1'", many, "more than 1024 values"},
      {"get: '/v1'", deep, "more than 32"},
      {"post: '/v1' body: '*'", "at { seconds: 999999999999 }", "JSON"},
  };
  for (const auto& [rule, request, why] : cases) {
    const auto call = rest_call(Rule(rule).routes.front(), parsed_text<Everything>(request));
    ASSERT_FALSE(call) << rule << " " << request.substr(0, 80);
    EXPECT_EQ(call.error().code(), Code::invalid_argument);
    EXPECT_THAT(call.error().message(), HasSubstr(why));
  }
}

TEST(RestCall, GoesByTheFirstRouteThatFits) {
  const Rule rule(
      "custom { kind: 'HEAD' path: '/h/{s}' } additional_bindings { get: '/v1/{s=a/*}' }"
      "additional_bindings { get: '/v1/{s=b/*}' }");
  std::size_t chosen = 0;
  const auto call = rest_call(rule.routes, parsed_text<Everything>("s: 'b/1'"), chosen);
  ASSERT_TRUE(call) << call.error().to_string();
  EXPECT_EQ(call->target, "/v1/b/1");
  EXPECT_EQ(chosen, 2U);
  // The first one's reason if none does.
  EXPECT_THAT(rest_call(rule.routes, Everything(), chosen).error().message(),
              HasSubstr("not like a/*"));
  EXPECT_EQ(rest_call({}, Everything(), chosen).error().code(), Code::unimplemented);
}

TEST(RestCall, RawBody) {
  Upload upload;
  upload.set_name("a/b c");
  upload.mutable_file()->set_content_type("image/png");
  upload.mutable_file()->set_data(std::string("\0\xff", 2));
  const RestRoute put = library("Put");
  const auto call = rest_call(put, upload);
  ASSERT_TRUE(call);
  EXPECT_EQ(call->method + " " + call->target, "PUT /v1/files/a/b%20c");
  EXPECT_EQ(call->content_type, "image/png");
  EXPECT_EQ(served<Upload>(put, *call).ShortDebugString(), upload.ShortDebugString());
}

TEST(RestReadAnswer, IsTheInverseOfAnswer) {
  for (const char* text : {"", "books { title: 'T' pages: 7 } books { name: 'n' }"}) {
    const auto books = parsed_text<Books>(text);
    const RestRoute list = library("List");
    const auto body = answer(list, books);
    Books read;
    read.set_next("gone");
    ASSERT_TRUE(read_answer(list, body->content_type, body->bytes, read).ok());
    EXPECT_EQ(read.ShortDebugString(), books.ShortDebugString());
  }
  Book book;
  EXPECT_TRUE(read_answer(library("Get"), "application/json", R"({"title":"T"})", book).ok());
  EXPECT_EQ(book.title(), "T");
  EXPECT_TRUE(read_answer(library("Get"), "", "", book).ok());
  EXPECT_EQ(book.title(), "");
  EXPECT_EQ(read_answer(library("Get"), "application/json", "[", book).code(), Code::internal);
  google::api::HttpBody raw;
  EXPECT_TRUE(read_answer(library("Put"), "image/png", "\xff", raw).ok());
  EXPECT_EQ(raw.content_type() + raw.data(), "image/png\xff");
  RestRoute field = library("List");
  field.response_field = Books::descriptor()->FindFieldByName("file");
  Books read;
  EXPECT_TRUE(read_answer(field, "application/json", "null", read).ok());
  EXPECT_FALSE(read.has_file());
}

TEST(RestError, IsReadAsWritten) {
  google::rpc::ErrorInfo info;
  info.set_reason("WHY");
  Status status(Code::not_found, "no \"book\"\n");
  status.detail(info);
  status.detail({"type.googleapis.com/tern.test.Unheard", "\x01\xff"});
  EXPECT_EQ(parse_rest_error(rest_error(status), Code::unknown), status);
  EXPECT_EQ(parse_rest_error("{\"error\":" + rest_error(status) + "}", Code::unknown), status);
}

TEST(RestError, OfOthers) {
  const std::tuple<const char*, Code, const char*> cases[] = {
      {R"({"error":{"code":404,"message":"m","status":"NOT_FOUND"}})", Code::not_found, "m"},
      {R"({"code":5,"message":"m","details":[]})", Code::not_found, "m"},
      {R"({"code":5,"error":"m","message":"m"})", Code::not_found, "m"},
      {R"({"code":0,"message":"m"})", Code::aborted, "m"},
      {R"({"code":17})", Code::aborted, ""},
      {R"({"code":4.5})", Code::aborted, ""},
      {R"({"code":"5","message":7})", Code::aborted, ""},
      {R"({"status":"OK"})", Code::aborted, ""},
      {R"({"details":[1,{},{"@type":"x"},{"@type":"x/y","value":"*"}]})", Code::aborted, ""},
      {R"({"error":null})", Code::aborted, ""},
      {"[]", Code::aborted, ""},
      {"{", Code::aborted, ""},
      {"", Code::aborted, ""},
  };
  for (const auto& [json, code, message] : cases) {
    const Status status = parse_rest_error(json, Code::aborted);
    EXPECT_EQ(status.code(), code) << json;
    EXPECT_EQ(status.message(), message) << json;
    EXPECT_TRUE(status.details().empty()) << json;
  }
}

}  // namespace
}  // namespace tern::rpc
