#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "wire/json_index.h"
#include "wire/subdoc.h"
#include "wire/subdoc_edit.h"
#include "wire/subdoc_path.h"

namespace bobbin::wire {

/// The document that a request is run on, as it is stored, uncompressed.
struct SubdocSource {
  std::string_view xattrs;   ///< the block in front of the body (xattr.h); empty when there is none
  std::string_view body;     ///< or SubdocRequest::initial_body() for one that is made
  bool body_is_json = true;  ///< datatype bit 0x01; an initial body is JSON unless it is empty
  bool deleted = false;      ///< found as a deleted one, or made as one
};

/// The value of a virtual attribute, JSON; none if there is no such attribute. `key` is with its '$'. Called
/// at most once for each spec.
using VirtualXattrs = std::function<std::optional<std::string>(std::string_view key)>;

/// Runs the specs of a request over a document, in their order, and holds what came of it: the results, the
/// new document, the body of the reply. Neither fetches nor stores, nor knows of privileges and sizes.
///
/// One thread's. Used for one request after the other, it allocates seldom. Request, source and what they
/// point to have to live until the reply is written and the new document is taken. The body is copied once,
/// by whoever takes the new pieces; more than one operation on it in a request cost another copy, and a new
/// index each.
class SubdocRun {
 public:
  struct Result {
    SubdocStatus status = SubdocStatus::success;
    std::string_view value;
  };

  /// A macro in xattrs() that only whoever makes the change can expand, by writing over what stands there: 0x
  /// and 16 hexadecimal digits; 8 for the CRC of the body.
  struct MacroSpot {
    XattrMacro macro = XattrMacro::none;
    size_t offset = 0;  ///< of the 0
  };

  SubdocRun() = default;
  SubdocRun(const SubdocRun&) = delete;
  SubdocRun& operator=(const SubdocRun&) = delete;

  /// What the header of the reply says: the status of the only operation or, of a multi request, success or
  /// multi_path_failure; those have another number on a deleted document. Nothing is to be changed unless
  /// is_success. `nonce` is a random number; macros are marked with it until they are expanded.
  SubdocStatus run(const SubdocRequest& request, const SubdocSource& source, const VirtualXattrs& virtuals,
                   uint64_t nonce = 0);

  static bool is_success(SubdocStatus status) {
    return status == SubdocStatus::success || status == SubdocStatus::success_deleted;
  }

  /// One for each spec that was run; a mutation ends with the one that failed.
  [[nodiscard]] std::span<const Result> results() const { return {results_.data(), result_count_}; }

  // ---- the reply's value

  [[nodiscard]] size_t reply_bytes() const;
  /// Frees what is large. Nothing is left of the last run.
  void release();
  /// Writes reply_bytes().
  void write_reply(char* out) const;
  /// The reply's value is JSON, as a single get's.
  [[nodiscard]] bool reply_is_json() const;

  // ---- the new document, after a mutation that succeeded

  [[nodiscard]] std::string_view xattrs() const { return xattrs_; }
  [[nodiscard]] std::span<const MacroSpot> macros() const { return macros_; }
  /// The body is these, one behind the other.
  [[nodiscard]] std::span<const std::string_view> body_pieces() const {
    return {pieces_.data(), piece_count_};
  }
  [[nodiscard]] size_t body_bytes() const;
  [[nodiscard]] bool body_is_json() const { return body_is_json_; }
  /// The document is to be deleted; what is left are its system attributes.
  [[nodiscard]] bool deletes() const { return deletes_; }

 private:
  void start(const SubdocRequest& request, const SubdocSource& source);
  Result run_spec(const SubdocSpec& spec, size_t number);
  SubdocStatus finish(const SubdocSource& source, bool failed);
  void collect_pieces();

  Result look_up(const SubdocSpec& spec, size_t number);
  Result look_up_xattr(const SubdocSpec& spec, size_t number);
  Result look_into(std::string_view json, SubdocOpcode opcode, std::span<const PathComponent> path,
                   size_t number);
  Result answer(const SubdocOutcome& outcome, SubdocOpcode opcode, std::string_view text, size_t number);

  Result change_body(const SubdocSpec& spec, size_t number);
  Result change_xattr(const SubdocSpec& spec, size_t number);
  Result decoded(const Result& found, size_t number);
  Result replace_body(const SubdocSpec& spec, size_t number);
  SubdocStatus change_document(const SubdocSpec& spec);
  std::optional<std::string_view> expand(const SubdocSpec& spec, size_t number);
  std::string_view mark(XattrMacro macro);
  bool is_free(std::string_view mark) const;
  void find_macros();

  void own_body();

  const SubdocRequest* request_ = nullptr;
  const VirtualXattrs* virtuals_ = nullptr;
  uint64_t nonce_ = 0;

  JsonIndex body_index_;
  bool body_indexed_ = false;
  JsonIndex xattr_index_;
  JsonIndex scratch_;
  SubdocPath path_;

  std::array<Result, kMaxSubdocSpecs> results_;
  size_t result_count_ = 0;
  std::array<std::array<char, 20>, kMaxSubdocSpecs> numbers_;  // what results point to
  std::array<std::string, kMaxSubdocSpecs> made_;              // the same

  std::string_view source_xattrs_;
  std::string xattrs_;  // of a mutation: as they are by now
  std::string xattr_text_;
  std::array<std::string, 4> marks_;  // by XattrMacro
  std::vector<MacroSpot> macros_;

  std::string_view body_;  // the source's, the request's, or owned_body_
  std::string owned_body_;
  std::optional<TextEdit> edit_;  // of body_, not yet made
  bool body_is_json_ = false;
  bool deletes_ = false;
  std::array<std::string_view, 5> pieces_;
  size_t piece_count_ = 0;
};

}  // namespace bobbin::wire
