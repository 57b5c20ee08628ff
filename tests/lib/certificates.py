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

    def issue(self, common_name, file_name=None):
        """For localhost and 127.0.0.1, with this name; a server's or a client's."""
        signed = ["-CA", self._own.certificate, "-CAkey", self._own.key]
        names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-addext", "basicConstraints=CA:FALSE"]
        return self._make(file_name or common_name, common_name, signed + names)

    def _make(self, file_name, common_name, more):
        made = Certificate(*(os.path.join(self._folder, file_name + end) for end in (".pem", ".key")))
        command = ["openssl", "req", "-x509", "-days", "2", "-subj", f"/CN={common_name}", *_KEY, *more]
        command += ["-keyout", made.key, "-out", made.certificate]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        return made
