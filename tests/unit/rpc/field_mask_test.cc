#include "rpc/field_mask.h"

#include <gmock/gmock.h>
#include <google/protobuf/field_mask.pb.h>
#include <gtest/gtest.h>

#include "library.pb.h"

namespace tern::rpc {
namespace {

using google::protobuf::FieldMask;
using tern::test::Book;
using ::testing::HasSubstr;

FieldMask mask(std::initializer_list<const char*> paths) {
  FieldMask made;
  for (const char* path : paths) made.add_paths(path);
  return made;
}

Book book() {
  Book made;
  made.set_name("n");
  made.set_title("t");
  made.add_tags("x");
  made.mutable_author()->set_name("a");
  made.mutable_author()->set_born(1900);
  return made;
}

TEST(FieldMask, Prunes) {
  Book some = book();
  EXPECT_TRUE(prune(mask({"title", "author.born"}), some).ok());
  EXPECT_EQ(some.ShortDebugString(), R"(title: "t" author { born: 1900 })");
  for (const FieldMask& all : {mask({}), mask({"*"})}) {
    Book whole = book();
    EXPECT_TRUE(prune(all, whole).ok());
    EXPECT_EQ(whole.ShortDebugString(), book().ShortDebugString());
  }
}

TEST(FieldMask, Merges) {
  Book source;
  source.set_title("new");
  source.add_tags("y");
  Book target = book();
  EXPECT_TRUE(merge(source, mask({"title", "author.born", "tags"}), target).ok());
  EXPECT_EQ(target.ShortDebugString(), R"(name: "n" title: "new" tags: "y" author { name: "a" })");
  target = book();
  EXPECT_TRUE(merge(source, mask({}), target).ok());
  EXPECT_EQ(target.title(), "new");
  EXPECT_EQ(target.name(), "n");
  EXPECT_EQ(target.tags_size(), 1);
  target = book();
  EXPECT_TRUE(merge(source, mask({"*"}), target).ok());
  EXPECT_EQ(target.ShortDebugString(), source.ShortDebugString());
}

TEST(FieldMask, RefusesWhatIsNoField) {
  for (const char* path : {"nothing", "author.nothing", "title.x", "tags.x", ""}) {
    Book some = book();
    EXPECT_THAT(prune(mask({"title", path}), some).to_string(), HasSubstr("INVALID_ARGUMENT"))
        << path;
    EXPECT_EQ(merge(Book(), mask({"title", path}), some).code(), Code::invalid_argument) << path;
    EXPECT_EQ(some.ShortDebugString(), book().ShortDebugString());
  }
}

}  // namespace
}  // namespace tern::rpc
