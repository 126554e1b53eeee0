#include "rpc/rest_route.h"

#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/dynamic_message.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include "library.pb.h"

namespace tern::rpc {
namespace {

namespace pb = google::protobuf;
using tern::test::Books;
using tern::test::Everything;
using tern::test::GetBook;
using tern::test::UpdateBook;
using tern::test::Upload;
using ::testing::HasSubstr;
using ::testing::SizeIs;

const pb::MethodDescriptor& method(const std::string& name) {
  const pb::MethodDescriptor* found =
      pb::DescriptorPool::generated_pool()->FindMethodByName("tern.test.Library." + name);
  EXPECT_NE(found, nullptr) << name;
  return *found;
}

RestRoute route(const std::string& name, std::size_t binding = 0) {
  // Any descriptor of the file makes the generated pool know all of it.
  EXPECT_NE(Everything::descriptor(), nullptr);
  auto routes = rest_routes(method(name));
  EXPECT_TRUE(routes) << routes.error().detail;
  return routes->at(binding);
}

/// The request that `path`, `query` and `body` make, as text; or "CODE: why".
template <typename Request>
std::string bound(const RestRoute& to, std::string_view path, std::string_view query,
                  std::string_view body, const RestOptions& options = RestOptions()) {
  PathTable table;
  EXPECT_TRUE(table.add(to.http_method, to.path, 0));
  const PathTable::Match match = table.find(to.http_method, path);
  EXPECT_EQ(match.outcome, PathTable::Match::Outcome::found) << path;
  Request request;
  const RestRequest from{match.values, query, "application/json", body};
  if (auto done = bind(to, from, request, options); !done) return done.error().to_string();
  return request.ShortDebugString();
}

TEST(RestRoute, ReadsTheOption) {
  const auto get = rest_routes(method("Get"));
  ASSERT_TRUE(get);
  ASSERT_THAT(*get, SizeIs(3));
  EXPECT_EQ(get->at(0).http_method, "GET");
  EXPECT_EQ(get->at(2).http_method, "HEAD");
  EXPECT_EQ(to_string(route("Update").variables[0]), "book.name");
  EXPECT_EQ(route("Update").body, RestRoute::Body::field);
  EXPECT_EQ(route("Create").body, RestRoute::Body::whole);
  EXPECT_TRUE(route("Put").raw_request);
  EXPECT_TRUE(route("Put").raw_response);
  EXPECT_EQ(route("List").response_field->name(), "books");
  EXPECT_THAT(*rest_routes(method("Plain")), SizeIs(0));
}

TEST(RestRoute, ReadsTheOptionOfAnotherPool) {
  // As reflection gives it: the pool has no google.api.http, so the option is an unknown field.
  pb::FileDescriptorProto file;
  file.set_name("other.proto");
  file.set_syntax("proto3");
  auto* message = file.add_message_type();
  message->set_name("Ask");
  auto* field = message->add_field();
  field->set_name("id");
  field->set_json_name("id");
  field->set_number(1);
  field->set_type(pb::FieldDescriptorProto::TYPE_STRING);
  field->set_label(pb::FieldDescriptorProto::LABEL_OPTIONAL);
  auto* service = file.add_service();
  service->set_name("Other");
  auto* made = service->add_method();
  made->set_name("Ask");
  made->set_input_type(".Ask");
  made->set_output_type(".Ask");
  pb::UnknownFieldSet rule;
  rule.AddLengthDelimited(2, "/other/{id}");
  std::string bytes;
  rule.SerializeToString(&bytes);
  pb::MethodOptions* unknown = made->mutable_options();
  unknown->GetReflection()->MutableUnknownFields(unknown)->AddLengthDelimited(72295728, bytes);
  pb::DescriptorPool pool;
  ASSERT_NE(pool.BuildFile(file), nullptr);
  const auto routes = rest_routes(*pool.FindMethodByName("Other.Ask"));
  ASSERT_TRUE(routes) << routes.error().detail;
  ASSERT_THAT(*routes, SizeIs(1));
  // And it binds into a message that nobody has compiled.
  pb::DynamicMessageFactory factory(&pool);
  std::unique_ptr<pb::Message> request(
      factory.GetPrototype(pool.FindMessageTypeByName("Ask"))->New());
  const std::vector<std::string> values{"7"};
  ASSERT_TRUE(bind(routes->front(), RestRequest{values, "", "", ""}, *request));
  EXPECT_EQ(request->ShortDebugString(), "id: \"7\"");
}

struct Wrong {
  const char* rule;
  const char* why;
};

TEST(RestRoute, RefusesOptionsThatCannotBe) {
  const Wrong cases[] = {
      {"get: '/v1/{nothing}'", "there is no field \"nothing\""},
      {"get: '/v1/{numbers}'", "cannot be in a path"},
      {"get: '/v1/{book}'", "cannot be in a path"},
      {"get: '/v1/{any}'", "cannot be in a path"},
      {"get: '/v1/{labels}'", "cannot be in a path"},
      {"get: '/v1/{books.name}'", "has no fields to name"},
      {"get: '/v1/{s.x}'", "has no fields to name"},
      {"get: 'v1'", "begins with '/'"},
      {"post: '/v1' body: 'nothing'", "there is no field nothing"},
      {"post: '/v1' response_body: 'nothing'", "no field nothing"},
      {"body: '*'", "no pattern"},
      {"custom { kind: '' path: '/v1' }", "without a kind"},
      {"custom { kind: 'CONNECT' path: '/v1' }", "no method for a path"},
      {"custom { kind: 'get' path: '/v1' }", "no method for a path"},
      {"get: '/v1' additional_bindings { get: '/v2' additional_bindings { get: '/v3' } }",
       "none of their own"},
      {"get: '/v1' additional_bindings { get: '/{' }", "a field's name is missing"},
  };
  for (const Wrong& each : cases) {
    pb::FileDescriptorProto file;
    file.set_name("wrong.proto");
    file.set_syntax("proto3");
    file.set_package("wrong");
    file.add_dependency("library.proto");
    auto* service = file.add_service();
    service->set_name("Wrong");
    auto* made = service->add_method();
    made->set_name("Call");
    made->set_input_type(".tern.test.Everything");
    made->set_output_type(".tern.test.Everything");
    ASSERT_TRUE(pb::TextFormat::ParseFromString(
        "[google.api.http] { " + std::string(each.rule) + " }", made->mutable_options()))
        << each.rule;
    pb::DescriptorPool pool(pb::DescriptorPool::generated_pool());
    const auto* built = pool.BuildFile(file);
    ASSERT_NE(built, nullptr) << each.rule;
    const auto routes = rest_routes(*built->service(0)->method(0));
    ASSERT_FALSE(routes) << each.rule;
    EXPECT_THAT(routes.error().detail, HasSubstr(each.why)) << each.rule;
  }
}

TEST(RestBind, PathQueryAndBody) {
  EXPECT_EQ(bound<GetBook>(route("Get"), "/v1/shelves/1/books/a%20b", "page=3&with=x&with=y+z", ""),
            R"(name: "shelves/1/books/a b" page: 3 with: "x" with: "y z")");
  EXPECT_EQ(bound<UpdateBook>(route("Update", 0), "/v1/shelves/1/books/2",
                              "dry=true&mask=title,pages", R"({"title":"T","pages":"12"})"),
            R"(book { name: "shelves/1/books/2" title: "T" pages: 12 } mask { paths: "title" )"
            R"(paths: "pages" } dry: true)");
  EXPECT_EQ(bound<Everything>(route("Create"), "/v1/everything/x", "", R"({"i32":1,"s":"y"})"),
            R"(i32: 1 s: "x")");
  EXPECT_EQ(bound<Everything>(route("Create"), "/v1/everything/x", "", ""), R"(s: "x")");
  EXPECT_EQ(bound<Everything>(route("Search", 1), "/v1/numbers/-5/true/POEM/2020-01-02T03:04:05Z",
                              "book.author.teacher.name=Q", "[1, 2,3]"),
            R"(i32: -5 b: true genre: POEM at { seconds: 1577934245 } )"
            R"(book { author { teacher { name: "Q" } } } numbers: 1 numbers: 2 numbers: 3)");
}

TEST(RestBind, QueryOfEveryType) {
  const std::pair<const char*, const char*> cases[] = {
      {"i32=-1", "i32: -1"},
      {"i64=-9223372036854775808", "i64: -9223372036854775808"},
      {"u32=4294967295", "u32: 4294967295"},
      {"u64=18446744073709551615", "u64: 18446744073709551615"},
      {"f=1.5", "f: 1.5"},
      {"f=-Infinity", "f: -inf"},
      {"d=1e300", "d: 1e+300"},
      {"d=NaN", "d: nan"},
      {"b=true", "b: true"},
      {"s=", ""},
      {"s=%C3%A4", "s: \"\\303\\244\""},
      {"raw=-_8", "raw: \"\\373\\377\""},
      {"raw=%2B%2F8%3D", "raw: \"\\373\\377\""},
      {"genre=NOVEL", "genre: NOVEL"},
      {"genre=2", "genre: POEM"},
      {"took=1.5s", "took { seconds: 1 nanos: 500000000 }"},
      {"maybe=", "maybe { }"},
      {"maybe=%22", "maybe { value: \"\\\"\" }"},
      {"flag=true", "flag { value: true }"},
      {"count=5", "count { value: 5 }"},
      {"numbers=1&numbers=2", "numbers: 1 numbers: 2"},
      {"left=a", "left: \"a\""},
      {"other-name=a", "renamed: \"a\""},
      {"renamed=a", "renamed: \"a\""},
      {"perhaps=0", "perhaps: 0"},
      {"book.title=a&book.genre=POEM", "book { title: \"a\" genre: POEM }"},
      {"&&b=true&", "b: true"},
      {"s64=-3&x32=4", "s64: -3 x32: 4"},
  };
  for (const auto& [query, wanted] : cases) {
    EXPECT_EQ(bound<Everything>(route("Search"), "/v1/everything:search", query, ""), wanted)
        << query;
  }
}

TEST(RestBind, RefusesBadQueries) {
  std::string deep = "book.author";
  for (int i = 0; i < 40; ++i) deep.append(".teacher");
  deep.append(".name=x");
  std::string many;
  for (int i = 0; i < 1025; ++i) many.append("numbers=1&");
  const std::pair<std::string, const char*> cases[] = {
      {"i32=2147483648", "not a number"},
      {"i32=+1", "not a number"},
      {"i32=1.0", "not a number"},
      {"i32=", "not a number"},
      {"i32=0x1", "not a number"},
      {"u32=-1", "not a number"},
      {"f=inf", "not a number"},
      {"d=1e400", "not a number"},
      {"d=-", "not a number"},
      {"b=1", "not true or false"},
      {"b=TRUE", "not true or false"},
      {"s=%ff", "not UTF-8"},
      {"s=%f", "cannot be decoded"},
      {"raw=%3D", "not base64"},
      {"raw=a", "not base64"},
      {"genre=EPIC", "not a value of enum Genre"},
      {"at=yesterday", "not Timestamp"},
      {"flag=1", "not true or false"},
      {"count=x", "not Int64Value"},
      {"any=1", "not a message"},
      {"book=1", "not a message"},
      {"books=1", "not a message"},
      {"labels=1", "not a message"},
      {"books.name=1", "no fields to name"},
      {"labels.key=1", "no fields to name"},
      {"s.t=1", "no fields to name"},
      {"nothing=1", "there is no field \"nothing\""},
      {"book.nothing=1", "there is no field \"nothing\" in tern.test.Book"},
      {"book.=1", "there is no field"},
      {"=1", "there is no field"},
      {"i32=1&i32=2", "is there twice"},
      {"i32=0&i32=0", "is there twice"},
      {"left=a&right=1", "is there twice"},
      {deep, "more than 32 fields"},
      {many, "cannot be decoded"},
  };
  for (const auto& [query, why] : cases) {
    const std::string said = bound<Everything>(route("Search"), "/v1/everything:search", query, "");
    EXPECT_THAT(said, HasSubstr("INVALID_ARGUMENT")) << query;
    EXPECT_THAT(said, HasSubstr(why)) << query;
  }
  EXPECT_EQ(bound<Everything>(route("Search"), "/v1/everything:search", "nothing=1&i32=1", "",
                              RestOptions().ignore_unknown_parameters()),
            "i32: 1");
}

TEST(RestBind, OneFieldComesFromOnePlace) {
  EXPECT_THAT(bound<GetBook>(route("Get"), "/v1/shelves/1/books/2", "name=x", ""),
              HasSubstr("in the path and in the query"));
  EXPECT_THAT(bound<UpdateBook>(route("Update"), "/v1/shelves/1/books/2", "book.title=x", "{}"),
              HasSubstr("and in the query"));
  EXPECT_THAT(bound<Everything>(route("Create"), "/v1/everything/x", "i32=1", "{}"),
              HasSubstr("in the body and in the query"));
}

TEST(RestBind, RefusesBadBodies) {
  for (const char* body :
       {"{", "[]", "1", "null x", "{\"i32\":\"x\"}", "{\"i32\":1}{", "{\"s\":\"\xff\"}",
        "{\"i32\":1}}", "\"\"", "{\"at\":\"no\"}", "{'i32':1,}}"}) {
    EXPECT_THAT(bound<Everything>(route("Create"), "/v1/everything/x", "", body),
                HasSubstr("INVALID_ARGUMENT: JSON: "))
        << body;
  }
  // A field's body is one value: it cannot set other fields.
  for (const char* body : {"[1],\"b\":true", "[1]}", "[\"x\"]", "{}", "[1] [2]"}) {
    EXPECT_THAT(bound<Everything>(route("Search", 1),
                                  "/v1/numbers/1/true/POEM/1970-01-01T00:00:00Z", "", body),
                HasSubstr("INVALID_ARGUMENT"))
        << body;
  }
  const std::string deep(5000, '[');
  EXPECT_THAT(bound<Everything>(route("Create"), "/v1/everything/x", "", "{\"any\":{\"a\":" + deep),
              HasSubstr("INVALID_ARGUMENT"));
}

TEST(RestBind, UnknownFieldsOfABody) {
  const char* body = R"({"i32":1,"newer":{"a":[1]}})";
  EXPECT_EQ(bound<Everything>(route("Create"), "/v1/everything/x", "", body), R"(i32: 1 s: "x")");
  EXPECT_THAT(bound<Everything>(route("Create"), "/v1/everything/x", "", body,
                                RestOptions().json(JsonOptions().ignore_unknown(false))),
              HasSubstr("INVALID_ARGUMENT"));
}

TEST(RestBind, RawBody) {
  const std::vector<std::string> values{"a/b.png"};
  Upload request;
  ASSERT_TRUE(bind(route("Put"),
                   RestRequest{values, "", "image/png", std::string_view("\0\xff", 2)}, request));
  EXPECT_EQ(request.name(), "a/b.png");
  EXPECT_EQ(request.file().content_type(), "image/png");
  EXPECT_EQ(request.file().data(), std::string("\0\xff", 2));
}

TEST(RestAnswer, WholeFieldAndRaw) {
  Books books;
  const RestRoute list = route("List");
  EXPECT_EQ(answer(list, books)->bytes, "[]");
  books.add_books()->set_title("T");
  books.set_next("n");
  EXPECT_EQ(answer(list, books)->bytes, R"([{"title":"T"}])");
  RestRoute any = list;
  const auto of = [&](const char* name) {
    any.response_field = Books::descriptor()->FindFieldByName(name);
    return answer(any, books)->bytes;
  };
  EXPECT_EQ(of("next"), "\"n\"");
  EXPECT_EQ(of("total"), "\"0\"");
  EXPECT_EQ(of("counts"), "{}");
  EXPECT_EQ(of("genre"), "\"GENRE_UNKNOWN\"");
  EXPECT_EQ(of("file"), "null");
  books.set_total(5);
  (*books.mutable_counts())["a"] = 1;
  books.set_genre(tern::test::POEM);
  EXPECT_EQ(of("total"), "\"5\"");
  EXPECT_EQ(of("counts"), R"({"a":1})");
  EXPECT_EQ(of("genre"), "\"POEM\"");

  any.raw_response = true;
  any.response_field = Books::descriptor()->FindFieldByName("file");
  books.mutable_file()->set_content_type("text/csv");
  books.mutable_file()->set_data("1,2");
  EXPECT_EQ(answer(any, books)->content_type, "text/csv");
  EXPECT_EQ(answer(any, books)->bytes, "1,2");
  // What no header line can be does not become one.
  books.mutable_file()->set_content_type("text/csv\r\nx: y");
  EXPECT_EQ(answer(any, books)->content_type, "application/octet-stream");
}

TEST(RestAnswer, Defaults) {
  RestRoute get = route("Get");
  tern::test::Book book;
  EXPECT_EQ(answer(get, book)->bytes, "{}");
  EXPECT_THAT(answer(get, book, RestOptions().json(JsonOptions().defaults()))->bytes,
              HasSubstr(R"("title":"")"));
}

}  // namespace
}  // namespace tern::rpc
