#pragma once

#include <string>
#include <vector>

#include "admin/http_request.h"
#include "base/result.h"
#include "serve/bucket_settings.h"

namespace bobbin::admin {

/// What a form asks for that makes a bucket (POST /pools/default/buckets): its fields and their values one by
/// one. That they fit together is for serve::check_bucket to say. The trouble names the form's field.
[[nodiscard]] base::Result<serve::BucketSettings, serve::BucketTrouble> read_new_bucket(const Form& form);
/// The fields that it looks at.
[[nodiscard]] std::vector<std::string> new_bucket_fields();

}  // namespace bobbin::admin
