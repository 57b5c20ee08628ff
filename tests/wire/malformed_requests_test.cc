// Requests whose lengths, datatypes, framing or collections are wrong, of every command: made from the rows
// of the tables and from the commands' vectors. What is wrong inside of values: malformed_values_test.cc.

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <string_view>

#include "malformed_fixture.h"
#include "wire/datatype.h"

namespace bobbin::serve {
namespace {

using namespace std::string_literals;
using wire::BinaryOpcode;
using wire::BinaryStatus;
using wire::Presence;

class MalformedRequestsTest : public MalformedTest {
 protected:
  // With another length in the header, and nothing else changed.
  static std::string with_key_bytes(std::string bytes, size_t key_bytes) {
    bytes[2] = static_cast<char>(key_bytes >> 8U);
    bytes[3] = static_cast<char>(key_bytes);
    return bytes;
  }
  static std::string with_extras_bytes(std::string bytes, size_t extras_bytes) {
    bytes[4] = static_cast<char>(extras_bytes);
    return bytes;
  }
  // Refused as one of the wrong shape is, or what `others` say; and the connection goes on with the next.
  static void expect_answer(const BinaryCommand& row, const std::string& bytes,
                            const std::map<BinaryOpcode, std::string>& others, std::string_view what) {
    const Answer got = answer(bytes);
    EXPECT_TRUE(got.goes_on && !got.closes) << what;
    const auto other = others.find(row.opcode);
    expect_bytes(got,
                 other == others.end() ? refusal(row.opcode, BinaryStatus::invalid_arguments) : other->second,
                 what);
  }
};

TEST_F(MalformedRequestsTest, ExtrasOfAnotherLength) {
  for_each_row([](const BinaryCommand& row) {
    const Frame good = frame_of(row);
    for (const size_t length : {good.extras.size() + 1, good.extras.size() - 1, size_t{255}}) {
      if (length > 255 || row.shape.extras.has(static_cast<uint8_t>(length))) continue;
      Frame wrong = good;
      wrong.extras.resize(length);
      expect_refused(wrong, std::to_string(length) + " bytes of extras");
    }
  });
}

TEST_F(MalformedRequestsTest, KeysAndValuesThatShouldNotBeThereOrAreNot) {
  for_each_row([](const BinaryCommand& row) {
    Frame wrong = frame_of(row);
    wrong.key = row.shape.key == Presence::forbidden ? "k" : "";
    if (row.shape.key != Presence::optional) expect_refused(wrong, "key");
    wrong = frame_of(row);
    wrong.key.assign(wire::kMaxBinaryKeyBytes + 2, 'k');
    if (row.shape.key != Presence::forbidden) expect_refused(wrong, "key of 252 bytes");
    wrong = frame_of(row);
    wrong.value = row.shape.value == Presence::forbidden ? "v" : "";
    if (row.shape.value != Presence::optional) expect_refused(wrong, "value");
  });
}

// The lengths contradict each other: there is no next request to be found.
TEST_F(MalformedRequestsTest, ALengthOfAKeyThatIsNotThere) {
  for_each_row([](const BinaryCommand& row) {
    const Frame good = frame_of(row);
    expect_lost(with_key_bytes(encoded(good), good.key.size() + good.value.size() + 1), "one byte");
    expect_lost(with_key_bytes(encoded(good), 0xffff), "64 KiB");
  });
}

// A body that is one byte longer or shorter than it says: what follows begins in the wrong place.
TEST_F(MalformedRequestsTest, ALengthOfTheBodyThatIsOffByOne) {
  for_each_row([](const BinaryCommand& row) {
    const std::string good = encoded(frame_of(row));
    const size_t body = good.size() - wire::kBinaryHeaderBytes;
    for (const size_t length : {body + 1, body - 1}) {
      if (body == 0 && length != 1) continue;
      std::string wrong = good;
      wire::store_big_endian(wrong.data() + 8, static_cast<uint32_t>(length));
      const Answer got = answer(wrong);
      EXPECT_TRUE(got.closes && !got.goes_on) << length;
      if (row.shape.value == Presence::forbidden)
        expect_bytes(got, refusal(row.opcode, BinaryStatus::invalid_arguments), std::to_string(length));
    }
  });
}

// The key takes the value's first byte, where there is one. It may be another document's then, and another
// name.
TEST_F(MalformedRequestsTest, ALengthOfTheKeyThatIsOneTooLarge) {
  using enum BinaryOpcode;
  constexpr uint64_t kMade = 0x1111;  // as its vector has it
  const std::map<BinaryOpcode, std::string> of_another = {
      {set, stored(set, kDocumentCas + 1)},
      {setq, ""},
      {add, stored(add, kDocumentCas + 1)},
      {addq, ""},
      {replace, refusal(replace, BinaryStatus::key_not_found)},
      {replaceq, refusal(replaceq, BinaryStatus::key_not_found)},
      {append, refusal(append, BinaryStatus::not_stored)},
      {appendq, refusal(appendq, BinaryStatus::not_stored)},
      {prepend, refusal(prepend, BinaryStatus::not_stored)},
      {prependq, refusal(prependq, BinaryStatus::not_stored)},
      {set_with_meta, stored(set_with_meta, kMade)},
      {setq_with_meta, ""},
      {add_with_meta, stored(add_with_meta, kMade)},
      {addq_with_meta, ""},
      {return_meta, vector_bytes("18b2 0300 10 00 0000 00000013 00000007 17979fb8b4193002 "
                                 "02000000000007000000000000000000000001")},
      {subdoc_counter, refusal(subdoc_counter, BinaryStatus::key_not_found)},
      {sasl_auth, refusal(sasl_auth, BinaryStatus::auth_error)},
      {sasl_step, refusal(sasl_step, BinaryStatus::auth_error)},
      {collections_get_id, refusal(collections_get_id, BinaryStatus::unknown_scope)},
      {collections_get_scope_id, refusal(collections_get_scope_id, BinaryStatus::unknown_scope)},
  };
  for_each_row([&](const BinaryCommand& row) {
    const Frame good = frame_of(row);
    const std::string wrong = with_key_bytes(encoded(good), good.key.size() + 1);
    if (good.value.empty()) return expect_lost(wrong, "no value");
    expect_answer(row, wrong, of_another, "one too large");
  });
}

// The value takes the key's last byte: of a document nothing is left then but its collection.
TEST_F(MalformedRequestsTest, ALengthOfTheKeyThatIsOneTooSmall) {
  using enum BinaryOpcode;
  const std::map<BinaryOpcode, std::string> of_another = {
      {stat, refusal(stat, BinaryStatus::key_not_found)},
      {sasl_auth, refusal(sasl_auth, BinaryStatus::auth_error)},
      {sasl_step, refusal(sasl_step, BinaryStatus::auth_error)},
  };
  for_each_row([&](const BinaryCommand& row) {
    const Frame good = frame_of(row);
    if (good.key.empty()) return;
    expect_answer(row, with_key_bytes(encoded(good), good.key.size() - 1), of_another, "one too small");
  });
}

// As above: what is missing is taken from what follows, and what is left belongs to it.
TEST_F(MalformedRequestsTest, ALengthOfTheExtrasThatIsOffByOne) {
  for_each_row([&](const BinaryCommand& row) {
    const Frame good = frame_of(row);
    for (const size_t length : {good.extras.size() + 1, good.extras.size() - 1}) {
      if (length > 255 || row.shape.extras.has(static_cast<uint8_t>(length))) continue;
      const std::string wrong = with_extras_bytes(encoded(good), length);
      if (good.value.empty() && length > good.extras.size()) {
        expect_lost(wrong, "one too many");
      } else {
        expect_answer(row, wrong, {}, std::to_string(length));
      }
    }
    expect_lost(with_extras_bytes(encoded(good), 255), "255");
  });
}

TEST_F(MalformedRequestsTest, FramingThatIsLongerThanTheBody) {
  for_each_row([](const BinaryCommand& row) {
    Frame good = frame_of(row);
    good.framing = "\0"s;
    const std::string bytes = encoded(good);
    const size_t body = bytes.size() - wire::kBinaryHeaderBytes;
    for (const size_t length : {good.framing.size() + good.value.size() + 1, body + 1, size_t{255}}) {
      if (length <= good.framing.size() + good.value.size() || length > 255) continue;
      std::string wrong = bytes;
      wrong[2] = static_cast<char>(length);
      expect_lost(wrong, std::to_string(length));
    }
  });
}

TEST_F(MalformedRequestsTest, DatatypesThatNobodyKnowsOrMaySend) {
  for_each_row([](const BinaryCommand& row) {
    Frame wrong = frame_of(row);
    for (const uint8_t datatype : {0x08, 0x10, 0x80, 0xff}) {
      wrong.datatype = datatype;
      expect_refused(wrong, "datatype " + std::to_string(datatype));
    }
    for (const uint8_t datatype : {wire::kDatatypeJson, wire::kDatatypeSnappy, wire::kDatatypeXattr}) {
      wrong.datatype = datatype;
      if ((row.shape.datatypes & datatype) == 0)
        expect_refused(wrong, "datatype " + std::to_string(datatype));
    }
  });
}

TEST_F(MalformedRequestsTest, ACasWhereThereIsNoneAndNoneWhereThereHasToBe) {
  for_each_row([](const BinaryCommand& row) {
    Frame wrong = frame_of(row);
    wrong.cas = row.shape.cas == Presence::forbidden ? 1 : 0;
    if (row.shape.cas != Presence::optional) expect_refused(wrong, "CAS " + std::to_string(wrong.cas));
  });
}

TEST_F(MalformedRequestsTest, NamesThatAreTooLongForTheirCollection) {
  for_each_row([](const BinaryCommand& row) {
    if (row.key != KeyKind::document || row.shape.key == Presence::forbidden || !row.needs_bucket) return;
    Frame wrong = frame_of(row);
    wrong.key = "\x08" + std::string(247, 'k');
    expect_refused(wrong, "247 bytes");
    wrong.key.pop_back();
    expect_refused(wrong, "246 bytes", BinaryStatus::unknown_collection);
    wrong.key = "\0"s + std::string(251, 'k');
    expect_refused(wrong, "251 bytes, of the default collection");
  });
}

TEST_F(MalformedRequestsTest, VbucketsOfWhatIsOfNone) {
  size_t asked = 0;
  for_each_row([&](const BinaryCommand& row) {
    Frame wrong = frame_of(row);
    wrong.vbucket = 1;
    if (!row.shape.is_of_no_vbucket) return;
    expect_refused(wrong, "vbucket 1");
    ++asked;
  });
  EXPECT_EQ(asked, 5U) << "the error map, the manifest, and what is in it";
}

TEST_F(MalformedRequestsTest, FramingThatContradictsItselfOrIsUnknown) {
  for_each_row([](const BinaryCommand& row) {
    Frame wrong = frame_of(row);
    // A barrier of one byte that is not there, and one that is; two; a durability level without its byte, and
    // of two; a stream's id of one byte; nobody to be impersonated; a number that goes on and does not; an
    // expiry that is kept, of one byte.
    for (const std::string& framing : {"\x01"s, "\x01x"s, "\0\0"s, "\x10"s, "\x12\x01\0"s, "\x21\0"s, "\x40"s,
                                       "\xf0"s, "\x0f"s, "\x51\0"s}) {
      wrong.framing = framing;
      expect_refused(wrong, testing::PrintToString(framing));
    }
    wrong.framing = "\x70"s;
    expect_refused(wrong, "unknown", BinaryStatus::unknown_frame_info);
    for (const std::string& framing : {"\x11\0"s, "\x11\x04"s, "\x13\xff\0\1"s}) {
      wrong.framing = framing;
      expect_refused(wrong, "no such level", BinaryStatus::durability_invalid_level);
    }
    // Two timeouts that are reserved, and a level that is fine of what cannot be durable.
    for (const std::string& framing : {"\x13\1\0\0"s, "\x13\1\xff\xff"s, "\x11\1"s}) {
      wrong.framing = framing;
      if (framing.size() > 2 || !row.writes) expect_refused(wrong, testing::PrintToString(framing));
    }
  });
}

TEST_F(MalformedRequestsTest, CollectionsThatAreNoNumbersOrUnknown) {
  for_each_row([](const BinaryCommand& row) {
    if (row.key != KeyKind::document || row.shape.key == Presence::forbidden || !row.needs_bucket) return;
    Frame wrong = frame_of(row);
    // Without an end; of seven bytes, and of six, where five are the most; not as short as it can be; more
    // than 32 bits; without a key behind it.
    for (const std::string& key :
         {"\x80"s, "\x80\x80"s, "\xff\xff\xff\xff\xff\xff\x01k"s, "\x80\x80\x80\x80\x80\x01k"s,
          "\x80\x80\x80\x80\x80\0k"s, "\xff\xff\xff\xff\xff\x0fk"s, "\x80\0k"s, "\x89\x80\x80\x80\0k"s,
          "\xff\xff\xff\xff\x1fk"s, "\0"s, "\x09"s, "\xff\xff\xff\xff\x0f"s,
          // Numbers that are kept for upstream's own use.
          "\x01k"s, "\x07k"s}) {
      wrong.key = key;
      expect_refused(wrong, testing::PrintToString(key));
    }
    for (const std::string& key : {"\x08k"s, "\x09k"s, "\x89\x01k"s, "\xff\xff\xff\xff\x0fk"s}) {
      wrong.key = key;
      expect_refused(wrong, testing::PrintToString(key), BinaryStatus::unknown_collection);
    }
  });
}

// The same, where they lie in a value.
TEST_F(MalformedRequestsTest, CollectionsInsideOfValues) {
  const auto observe = [](const std::string& key) {
    return Frame{.opcode = BinaryOpcode::observe, .value = "\0\0\0"s + static_cast<char>(key.size()) + key};
  };
  for (const std::string& key : {""s, "\x80"s, "\x80\x80\x80\x80\x80\x01k"s, "\x80\0k"s, "\0"s})
    expect_refused(observe(key), testing::PrintToString(key));
  expect_refused(observe("\x09k"), "unknown", BinaryStatus::unknown_collection);
}

}  // namespace
}  // namespace bobbin::serve
