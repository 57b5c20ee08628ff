// The official Couchbase SDK, unmodified, whose server ends and comes back: BOBBIN_ADDRESS stays the same, and the file
// BOBBIN_ASK is written to have the server started again, which then writes BOBBIN_DONE.
'use strict';

const assert = require('node:assert');
const fs = require('node:fs');
const { test } = require('node:test');
const couchbase = require('couchbase');

const login = { username: 'Administrator', password: 'password' };
const timeouts = { kvTimeout: 20000, connectTimeout: 20000, managementTimeout: 20000 };

async function appears(path) {
  while (!fs.existsSync(path)) await new Promise((resolve) => { setTimeout(resolve, 10); });
}

test('it finds the server again, and what was stored', async () => {
  const cluster = await couchbase.connect(`couchbase://${process.env.BOBBIN_ADDRESS}`, { ...login, timeouts });
  try {
    const documents = cluster.bucket('default').defaultCollection();
    const durabilityLevel = couchbase.DurabilityLevel.PersistToMajority;
    const { cas } = await documents.upsert('kept', { n: 1 }, { durabilityLevel });
    fs.writeFileSync(process.env.BOBBIN_ASK, '');
    await appears(process.env.BOBBIN_DONE);
    const again = await documents.get('kept');
    assert.deepStrictEqual(again.content, { n: 1 });
    assert.strictEqual(String(again.cas), String(cas));
    await documents.replace('kept', { n: 2 }, { cas });
    assert.deepStrictEqual((await documents.get('kept')).content, { n: 2 });
  } finally {
    await cluster.close();
  }
});
