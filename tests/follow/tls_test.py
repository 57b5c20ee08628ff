"""A server that follows another through TLS: whom it takes for its source, and the same content."""

import os
import shutil
import signal
import tempfile
import unittest

import content
from lib.certificates import Authority
from lib.ports import free_port
from lib.server import poll
from pair import FollowTest, is_ready


class TlsTest(FollowTest):
    @classmethod
    def setUpClass(cls):
        cls.certificates = tempfile.mkdtemp(prefix="bobbin-follow-tls-")
        cls.addClassCleanup(shutil.rmtree, cls.certificates)
        cls.authority = Authority(cls.certificates)
        cls.good = cls.authority.issue("source")

    def start_source(self, certificate, **options):
        return self.start("source", tls_cert=certificate.certificate, tls_key=certificate.key, **options)

    def follow_by_tls(self, source, **options):
        return self.start("follower", follow=f"127.0.0.1:{source.tls}", follow_tls=True, **options)

    def trusting(self):
        return dict(follow_cafile=self.authority.certificate)

    def replace_certificate(self, source, place, other):
        """That of a running source."""
        for old, new in zip(place, other):
            shutil.copyfile(new, old + ".new")
            os.replace(old + ".new", old)
        source.process.send_signal(signal.SIGHUP)

    def own_copy(self, certificate):
        made = type(certificate)(*(os.path.join(self.folder, name) for name in ("own.pem", "own.key")))
        for own, other in zip(made, certificate):
            shutil.copyfile(other, own)
        return made

    def test_a_copy_through_tls_is_the_same(self):
        source = self.start_source(self.good)
        self.fill(source, 0, 500)
        follower = self.follow_by_tls(source, **self.trusting())
        self.assert_same(source, follower)
        poll(lambda: is_ready(follower), "the follower to be ready")
        self.fill(source, 500, 500)
        self.assert_same(source, follower)
        self.stop("follower")
        follower = self.follow_by_tls(source, **self.trusting())
        self.assert_same(source, follower)
        self.assertEqual(self.stats(follower)["follow_full_copies"], "0")

    def test_what_does_not_fit_into_memory_comes_through_tls(self):
        source = self.start_source(self.good, memory="96M", max_item_size="2M")
        follower = self.follow_by_tls(source, memory="32M", max_item_size="2M", **self.trusting())
        self.fill(source, 0, 600, size=100_000)
        self.assert_same(source, follower)

    def test_a_login_through_tls(self):
        source = self.start_source(self.good)
        self.put_user(source, "boss", "admin")
        self.put_user(source, "ann", "data_dcp_reader[default]")
        follower = self.follow_by_tls(source, follow_user="ann", follow_password="rightone", **self.trusting())
        poll(lambda: self.stats(follower)["follow_state"] == "streaming", "the login")

    def test_a_certificate_that_is_not_good_is_said_and_tried_again(self):
        stranger = Authority(self.certificates, "stranger").issue("foreign")
        elsewhere = self.authority.issue("elsewhere", hosts="DNS:elsewhere.example")
        old = self.authority.issue_expired("old")
        for wrong, words in (
            (elsewhere, "IP address mismatch"),
            (old, "certificate has expired"),
            (stranger, "unable to get local issuer certificate"),
        ):
            with self.subTest(words):
                place = self.own_copy(wrong)
                source = self.start_source(place)
                self.fill(source, 0, 50)
                follower = self.follow_by_tls(source, **self.trusting())
                self.assertIn(words, self.trouble(follower))
                self.assertIn("no TLS handshake", self.stats(follower)["follow_trouble"])
                poll(lambda: int(self.stats(follower)["follow_failures"]) > 2, "further tries")
                self.assertFalse(is_ready(follower))
                self.assertEqual(sum(content.seqnos(follower.endpoint).values()), 0)
                self.replace_certificate(source, place, self.good)
                self.assert_same(source, follower)
                self.assertEqual(self.stats(follower)["follow_trouble"], "")
                self.assertEqual(follower.output().count(words), 1, "one line of log for all tries")
                for name in ("follower", "source"):
                    self.stop(name)
                    shutil.rmtree(os.path.join(self.folder, name))

    def test_whoever_asks_for_it_takes_any_certificate(self):
        source = self.start_source(Authority(self.certificates, "nobody").issue("any", hosts="DNS:other.example"))
        self.fill(source, 0, 50)
        self.assert_same(source, self.follow_by_tls(source, follow_insecure=True))

    def test_a_source_that_speaks_no_tls(self):
        source = self.start("source")
        follower = self.start("follower", follow=source.address, follow_tls=True, **self.trusting())
        self.assertIn("speaks no TLS", self.trouble(follower))

    def test_nobody_listens(self):
        follower = self.start("follower", follow=f"127.0.0.1:{free_port()}", follow_tls=True, **self.trusting())
        self.assertIn("refused", self.trouble(follower))


if __name__ == "__main__":
    unittest.main()
