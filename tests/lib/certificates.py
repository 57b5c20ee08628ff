"""Certificates for tests, made with the program openssl."""

import collections
import os
import subprocess

Certificate = collections.namedtuple("Certificate", "certificate key")
"""Two paths of files in PEM."""

_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]


class Authority:
    """Signs certificates. Its own lies in the file `certificate`; all of them are in `folder`."""

    def __init__(self, folder, name="authority"):
        self._folder = folder
        self._own = self._make(name, name, ["-addext", "basicConstraints=critical,CA:TRUE"])
        self.certificate = self._own.certificate

    def issue(self, common_name, file_name=None, hosts="DNS:localhost,IP:127.0.0.1"):
        """For these hosts, with this name; a server's or a client's."""
        signed = ["-CA", self._own.certificate, "-CAkey", self._own.key]
        names = ["-addext", f"subjectAltName={hosts}", "-addext", "basicConstraints=CA:FALSE"]
        return self._make(file_name or common_name, common_name, signed + names)

    def issue_expired(self, common_name):
        """The same, which was good until yesterday."""
        made = self._place(common_name)
        wish = made.certificate + ".wish"
        names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-addext", "basicConstraints=CA:FALSE"]
        _openssl("req", "-subj", f"/CN={common_name}", *_KEY, *names, "-keyout", made.key, "-out", wish)
        signed = ["-CA", self._own.certificate, "-CAkey", self._own.key, "-CAcreateserial", "-days", "-1"]
        _openssl("x509", "-req", *signed, "-copy_extensions", "copyall", "-in", wish, "-out", made.certificate)
        return made

    def _make(self, file_name, common_name, more):
        made = self._place(file_name)
        command = ["-x509", "-days", "2", "-subj", f"/CN={common_name}", *_KEY, *more]
        _openssl("req", *command, "-keyout", made.key, "-out", made.certificate)
        return made

    def _place(self, file_name):
        return Certificate(*(os.path.join(self._folder, file_name + end) for end in (".pem", ".key")))


def _openssl(*words):
    subprocess.run(["openssl", *words], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
