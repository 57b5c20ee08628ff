#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "readers.h"

namespace bobbin::wire_tests {
namespace {

const std::string k250(250, 'k');
const std::string k251(251, 'k');
const std::string thirty_flags = [] {
  std::string flags;
  for (int i = 0; i < 30; ++i)
    flags += " s";
  return flags;
}();

struct Vector {
  std::string bytes;
  std::vector<std::string> events;
};

// What memcached 1.6.18 answers was probed for each of these; where this differs a comment says why.
const Vector kVectors[] = {
    {"mn\r\n", {"mn"}},
    {"mn x\r\n", {"mn"}},
    {"mn" + thirty_flags + "\r\n", {"mn"}},

    // mg
    {"mg a\r\n", {"mg k=a"}},
    {"mg a  s   v\r\n", {"mg k=a sv"}},
    {"mg a v O12 k\r\n", {"mg k=a vOk O=12"}},
    {"mg a O\r\n", {"mg k=a O O="}},
    {"mg a O1\t2\r\n", {"mg k=a O O=1\t2"}},
    {"mg a vx\r\n", {"mg k=a v"}},
    {"mg a T-1 N5 R+3\r\n", {"mg k=a TNR"}},
    {"mg a C1 F1 I D1 J1 M1 P L\r\n", {"mg k=a CFIDJMPL"}},
    {"mg " + k250 + "\r\n", {"mg k=" + k250}},
    {"mg\r\n", {"! ERROR"}},
    {"mg " + k251 + "\r\n", {"! CLIENT_ERROR bad command line format"}},
    {"mg " + k251 + " s s\r\n", {"! CLIENT_ERROR bad command line format"}},
    {"mg a s s\r\n", {"! CLIENT_ERROR duplicate flag"}},
    {"mg a O O1\r\n", {"! CLIENT_ERROR duplicate flag"}},
    {"mg a !\r\n", {"! CLIENT_ERROR invalid flag"}},
    {"mg a y\r\n", {"! CLIENT_ERROR invalid flag"}},
    {"mg a S1\r\n", {"! CLIENT_ERROR invalid flag"}},
    {"mg a T 5\r\n", {"! CLIENT_ERROR invalid flag"}},
    {"mg a T\r\n", {"! CLIENT_ERROR bad token in command line format"}},
    {"mg a T5x\r\n", {"! CLIENT_ERROR bad token in command line format"}},
    {"mg a Nx\r\n", {"! CLIENT_ERROR bad token in command line format"}},
    {"mg a R\r\n", {"! CLIENT_ERROR bad token in command line format"}},
    {"mg a Cx\r\n", {"! CLIENT_ERROR bad token in command line format"}},
    {"mg a Fx\r\n", {"! CLIENT_ERROR bad command line format"}},
    {"mg a Dx\r\n", {"! CLIENT_ERROR invalid numeric delta value"}},
    {"mg a Jx\r\n", {"! CLIENT_ERROR invalid numeric initial value"}},
    {"mg a Mxx\r\n", {"! CLIENT_ERROR incorrect length for M token"}},
    {"mg a" + thirty_flags + "\r\n", {"! CLIENT_ERROR options flags are too long"}},
    {"mg a O" + std::string(33, '1') + "\r\n", {"! CLIENT_ERROR opaque token too long"}},
    // memcached counts the O itself and stops at 31.
    {"mg a O" + std::string(32, '1') + "\r\n", {"mg k=a O O=" + std::string(32, '1')}},

    // more than one thing wrong: letters are judged before tokens, of tokens the last counts
    {"mg a T !\r\n", {"! CLIENT_ERROR invalid flag"}},
    {"mg a J R\r\n", {"! CLIENT_ERROR bad token in command line format"}},
    {"mg a R J\r\n", {"! CLIENT_ERROR invalid numeric initial value"}},
    {"mg a D F\r\n", {"! CLIENT_ERROR invalid numeric delta value"}},
    {"mg a F D\r\n", {"! CLIENT_ERROR invalid numeric delta value"}},
    {"mg a D b\r\n", {"! CLIENT_ERROR error decoding key"}},
    {"mg a b D\r\n", {"! CLIENT_ERROR invalid numeric delta value"}},
    {"mg a T O" + std::string(33, '1') + "\r\n", {"! CLIENT_ERROR bad token in command line format"}},
    {"mg " + k251 + thirty_flags + "\r\n", {"! CLIENT_ERROR bad command line format"}},

    // flags that the current document has and 1.6.18 does not know
    {"mg a E5\r\n", {"mg k=a E"}},
    {"md a x\r\n", {"md k=a x"}},
    {"mg a Ex\r\n", {"! CLIENT_ERROR bad token in command line format"}},

    // base64 keys
    {"mg YSBi b k\r\n", {"mg k=a b bk"}},
    {"mg a!b b\r\n", {"! CLIENT_ERROR error decoding key"}},
    {"mg abc b\r\n", {"! CLIENT_ERROR error decoding key"}},
    {"mg = b\r\n", {"! CLIENT_ERROR error decoding key"}},
    {"mg ==== b\r\n", {"! CLIENT_ERROR error decoding key"}},
    // memcached decodes these to "a" and echoes another spelling than was sent.
    {"mg YR== b k\r\n", {"! CLIENT_ERROR error decoding key"}},
    {"mg YQ==YQ== b k\r\n", {"! CLIENT_ERROR error decoding key"}},

    // ms
    {"ms a 1\r\nx\r\nmn\r\n", {"ms k=a n=1", "mn"}},
    {"ms a 0 c\r\n\r\nmn\r\n", {"ms k=a n=0 c", "mn"}},
    {"ms a +1 F4294967295 T0 MS\r\nx\r\n", {"ms k=a n=1 FTM"}},
    {"ms a 1 f t v h l\r\nx\r\n", {"ms k=a n=1 ftvhl"}},
    {"ms a 1 ME q\r\nx\r\nmn\r\n", {"ms k=a n=1 Mq", "mn"}},
    {"ms\r\n", {"! ERROR"}},
    {"ms a\r\n", {"! CLIENT_ERROR bad command line format"}},
    {"ms a S1\r\nx\r\n", {"! CLIENT_ERROR bad command line format", "! ERROR"}},
    {"ms a -1\r\nx\r\n", {"! CLIENT_ERROR bad command line format", "! ERROR"}},
    {"ms a 1x\r\nx\r\n", {"! CLIENT_ERROR bad command line format", "! ERROR"}},
    {"ms a x k k\r\nx\r\n", {"! CLIENT_ERROR bad command line format", "! ERROR"}},
    {"ms a 2147483645\r\nmn\r\n", {"ms k=a n=2147483645"}},
    {"ms a 2147483646\r\n", {"! CLIENT_ERROR bad command line format"}},
    {"ms a 2147483648\r\n", {"! CLIENT_ERROR bad command line format"}},
    // memcached takes this for 1.
    {"ms a 4294967297\r\n", {"! CLIENT_ERROR bad command line format"}},
    {"ms a 1 S1\r\nx\r\nmn\r\n", {"! CLIENT_ERROR invalid flag", "mn"}},
    {"ms a 1 invalid\r\nx\r\nmn\r\n", {"! CLIENT_ERROR invalid flag", "mn"}},
    {"ms a 1 k k q\r\nx\r\nmn\r\n", {"! CLIENT_ERROR duplicate flag", "mn"}},
    {"ms a 1 Tx\r\nx\r\nmn\r\n", {"! CLIENT_ERROR bad token in command line format", "mn"}},
    {"ms a 1 Fx\r\nx\r\nmn\r\n", {"! CLIENT_ERROR bad command line format", "mn"}},
    {"ms a 1 F-1\r\nx\r\nmn\r\n", {"! CLIENT_ERROR bad command line format", "mn"}},
    // memcached stores the low 32 bits.
    {"ms a 1 F4294967296\r\nx\r\nmn\r\n", {"! CLIENT_ERROR bad command line format", "mn"}},
    {"ms a 1 M\r\nx\r\nmn\r\n", {"! CLIENT_ERROR incorrect length for M token", "mn"}},
    {"ms a 1 Mset\r\nx\r\nmn\r\n", {"! CLIENT_ERROR incorrect length for M token", "mn"}},
    {"ms a 1 MX\r\nx\r\nmn\r\n", {"! CLIENT_ERROR invalid mode for ms M token", "mn"}},
    {"ms a 1 Ms\r\nx\r\nmn\r\n", {"! CLIENT_ERROR invalid mode for ms M token", "mn"}},
    {"ms a 1 b\r\nx\r\nmn\r\n", {"! CLIENT_ERROR error decoding key", "mn"}},
    {"ms " + k251 + " 1\r\nx\r\nmn\r\n", {"! CLIENT_ERROR bad command line format", "! ERROR", "mn"}},
    {"ms a 1" + thirty_flags + "\r\nx\r\n", {"! CLIENT_ERROR options flags too long", "! ERROR"}},

    // md: one text for all that is wrong with flags
    {"md a q I T30 C5\r\n", {"md k=a qITC"}},
    {"md\r\n", {"! ERROR"}},
    {"md a Tx\r\n", {"! CLIENT_ERROR invalid or duplicate flag"}},
    {"md a k k\r\n", {"! CLIENT_ERROR invalid or duplicate flag"}},
    {"md a !\r\n", {"! CLIENT_ERROR invalid or duplicate flag"}},
    {"md a b\r\n", {"! CLIENT_ERROR invalid or duplicate flag"}},
    {"md a Fx\r\n", {"! CLIENT_ERROR invalid or duplicate flag"}},
    {"md a O" + std::string(33, '1') + "\r\n", {"! CLIENT_ERROR opaque token too long"}},
    {"md " + k251 + " k k\r\n", {"! CLIENT_ERROR bad command line format"}},

    // ma
    {"ma a N0 J13 D2 MD v\r\n", {"ma k=a NJDMv"}},
    {"ma a M+\r\n", {"ma k=a M"}},
    {"ma a M-\r\n", {"ma k=a M"}},
    {"ma\r\n", {"! ERROR"}},
    {"ma " + k251 + "\r\n", {"! CLIENT_ERROR bad command line format"}},
    {"ma a Dx\r\n", {"! CLIENT_ERROR invalid or duplicate flag"}},
    {"ma a D-1\r\n", {"! CLIENT_ERROR invalid or duplicate flag"}},
    {"ma a D18446744073709551616\r\n", {"! CLIENT_ERROR invalid or duplicate flag"}},
    {"ma a Jx\r\n", {"! CLIENT_ERROR invalid or duplicate flag"}},
    {"ma a M\r\n", {"! CLIENT_ERROR invalid or duplicate flag"}},
    {"ma a MX\r\n", {"! CLIENT_ERROR invalid mode for ma M token"}},
    {"ma a Mi\r\n", {"! CLIENT_ERROR invalid mode for ma M token"}},
    {"ma a" + thirty_flags + "\r\n", {"! CLIENT_ERROR options flags too long"}},

    // me minds no flag but b
    {"me a\r\n", {"me k=a"}},
    {"me a z z O1\r\n", {"me k=a"}},
    {"me YSBi b\r\n", {"me k=a b"}},
    {"me a bx\r\n", {"me k=a"}},
    {"me\r\n", {"! CLIENT_ERROR bad command line format"}},
    {"me a b\r\n", {"! CLIENT_ERROR bad command line format"}},
    {"me " + k251 + "\r\n", {"! CLIENT_ERROR bad command line format"}},

    // malformed meta commands that have crashed a server (CVE-2020-22570)
    {"mg  \r\n", {"! ERROR"}},
    {"ms  \r\n", {"! ERROR"}},
    {"mg " + std::string(2000, ' ') + "\r\n", {"! ERROR"}},
    {"mg a \r\n", {"mg k=a"}},
    {"m\r\n", {"! ERROR"}},
    {"mx a\r\n", {"! ERROR"}},
};

TEST(MetaVectors, AreReadAsMemcachedReadsThem) {
  for (const Vector& vector : kVectors) {
    TextReader reader;
    reader.feed(vector.bytes);
    EXPECT_EQ(reader.events(), vector.events) << vector.bytes;
  }
}

TEST(MetaVectors, AreTheSameHoweverTheBytesArrive) {
  for (const Vector& vector : kVectors) {
    EXPECT_EQ(first_split_difference<TextReader>(vector.bytes), "") << vector.bytes;
  }
}

}  // namespace
}  // namespace bobbin::wire_tests
