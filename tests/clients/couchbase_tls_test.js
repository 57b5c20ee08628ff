// The official Couchbase SDK over TLS: couchbases://, with a trust store, without looking, and with a certificate.
'use strict';

const assert = require('node:assert');
const { test } = require('node:test');
const couchbase = require('couchbase');

const url = `couchbases://${process.env.BOBBIN_TLS_ADDRESS}`;
const login = { username: 'Administrator', password: 'password' };
const timeouts = { kvTimeout: 20000, connectTimeout: 20000, managementTimeout: 20000 };
const trusting = { security: { trustStorePath: process.env.BOBBIN_CA } };

async function works(cluster) {
  try {
    const documents = cluster.bucket('default').defaultCollection();
    await documents.upsert('k', { a: 1 });
    assert.deepStrictEqual((await documents.get('k')).content, { a: 1 });
    const large = { text: 'x'.repeat(700000) };
    await documents.upsert('large', large);
    assert.deepStrictEqual((await documents.get('large')).content, large);
    const many = Array.from({ length: 500 }, (_, i) => documents.upsert(`many-${i}`, i));
    await Promise.all(many);
    const { services } = await cluster.ping({ serviceTypes: ['mgmt', 'kv'] });
    assert.ok(services.mgmt.length > 0);
    for (const { state } of [...services.mgmt, ...services.kv]) assert.strictEqual(state, 0, 'ok');
    for (const { remote } of services.kv) assert.ok(remote.endsWith(process.env.BOBBIN_TLS_ADDRESS.slice(-6)), remote);
  } finally {
    await cluster.close();
  }
}

test('with a trust store', async () => {
  await works(await couchbase.connect(url, { ...login, timeouts, ...trusting }));
});

test('without looking at the certificate', async () => {
  await works(await couchbase.connect(`${url}?tls_verify=none`, { ...login, timeouts }));
});

test('its managers use TLS too', async () => {
  const cluster = await couchbase.connect(url, { ...login, timeouts, ...trusting });
  const buckets = await cluster.buckets().getAllBuckets();
  assert.ok(buckets.some(({ name }) => name === 'default'));
  await cluster.close();
});

test('a certificate instead of a password', async () => {
  const authenticator = { certificatePath: process.env.BOBBIN_CERT, keyPath: process.env.BOBBIN_KEY };
  await works(await couchbase.connect(url, { authenticator, timeouts, ...trusting }));
});

test('a wrong password', async () => {
  const wrong = { username: 'Administrator', password: 'wrong' };
  await assert.rejects(
    couchbase.connect(url, { ...wrong, timeouts, ...trusting }),
    couchbase.AuthenticationFailureError,
  );
});

test('a certificate that nobody vouches for', async () => {
  const security = { trustStorePath: process.env.BOBBIN_STRANGER };
  await assert.rejects(
    couchbase.connect(url, { ...login, timeouts: { ...timeouts, connectTimeout: 4000 }, security }),
  );
});
