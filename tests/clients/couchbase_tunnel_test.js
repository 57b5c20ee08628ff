// The official Couchbase SDK, unmodified, through a forwarded port: BOBBIN_ADDRESS is that of the forwarder, and what
// is behind it cannot be reached by the address that the server has for itself. With BOBBIN_CA, by TLS.
'use strict';

const assert = require('node:assert');
const { test } = require('node:test');
const couchbase = require('couchbase');

const login = { username: 'Administrator', password: 'password' };
const timeouts = { kvTimeout: 20000, connectTimeout: 20000, managementTimeout: 20000 };

test('everything goes through the forwarder', async () => {
  const ca = process.env.BOBBIN_CA;
  const url = `${ca ? 'couchbases' : 'couchbase'}://${process.env.BOBBIN_ADDRESS}${process.env.BOBBIN_NETWORK || ''}`;
  const security = ca ? { security: { trustStorePath: ca } } : {};
  const cluster = await couchbase.connect(url, { ...login, timeouts, ...security });
  try {
    const documents = cluster.bucket('default').defaultCollection();
    await documents.upsert('through', { n: 1 });
    assert.deepStrictEqual((await documents.get('through')).content, { n: 1 });
    assert.ok((await cluster.buckets().getAllBuckets()).some(({ name }) => name === 'default'));
  } finally {
    await cluster.close();
  }
});
