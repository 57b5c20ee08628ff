#pragma once

// Certificates and a client for tests of TLS. Only for tests.

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>

#include "net/tls.h"

namespace bobbin::net {

/// A certificate with its key, each also in a file.
class TestCertificate {
 public:
  /// Signed by `issuer`; by itself, and an authority, where that is null.
  TestCertificate(const std::string& path_stem, const std::string& common_name,
                  const TestCertificate* issuer = nullptr)
      : certificate_path_(path_stem + ".pem"), key_path_(path_stem + ".key") {
    key_ = EVP_EC_gen("P-256");
    certificate_ = X509_new();
    X509_set_version(certificate_, X509_VERSION_3);
    static long serial = 0;
    ASN1_INTEGER_set(X509_get_serialNumber(certificate_), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(certificate_), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate_), 3600);
    X509_set_pubkey(certificate_, key_);
    X509_NAME* subject = X509_get_subject_name(certificate_);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(common_name.data()),
                               static_cast<int>(common_name.size()), -1, 0);
    const X509* signer = issuer == nullptr ? certificate_ : issuer->certificate_;
    X509_set_issuer_name(certificate_, X509_get_subject_name(signer));
    if (issuer == nullptr) add_extension(NID_basic_constraints, "critical,CA:TRUE");
    add_extension(NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1");
    X509_sign(certificate_, issuer == nullptr ? key_ : issuer->key_, EVP_sha256());
    write();
  }
  ~TestCertificate() {
    X509_free(certificate_);
    EVP_PKEY_free(key_);
  }
  TestCertificate(const TestCertificate&) = delete;
  TestCertificate& operator=(const TestCertificate&) = delete;

  [[nodiscard]] const std::string& certificate_path() const { return certificate_path_; }
  [[nodiscard]] const std::string& key_path() const { return key_path_; }
  [[nodiscard]] X509* certificate() const { return certificate_; }
  [[nodiscard]] EVP_PKEY* key() const { return key_; }

  /// Over whatever lies there.
  void write_to(const std::string& certificate_path, const std::string& key_path) const {
    FILE* file = std::fopen(certificate_path.c_str(), "w");
    PEM_write_X509(file, certificate_);
    std::fclose(file);
    file = std::fopen(key_path.c_str(), "w");
    PEM_write_PrivateKey(file, key_, nullptr, nullptr, 0, nullptr, nullptr);
    std::fclose(file);
  }

 private:
  void write() const { write_to(certificate_path_, key_path_); }
  void add_extension(int nid, const char* text) {
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, nid, text);
    X509_add_ext(certificate_, extension, -1);
    X509_EXTENSION_free(extension);
  }

  const std::string certificate_path_;
  const std::string key_path_;
  EVP_PKEY* key_ = nullptr;
  X509* certificate_ = nullptr;
};

/// A folder of its own for a test's files, removed with it.
class TestFolder {
 public:
  TestFolder() {
    std::string pattern = testing::TempDir() + "bobbin-tls-XXXXXX";
    path_ = mkdtemp(pattern.data());
  }
  ~TestFolder() { std::filesystem::remove_all(path_); }
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;
  [[nodiscard]] std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace bobbin::net
