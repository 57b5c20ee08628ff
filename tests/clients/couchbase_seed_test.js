// The official Couchbase SDK, unmodified, reads what a server began with (the folder that npm_test.py writes).
'use strict';

const assert = require('node:assert');
const { after, before, test } = require('node:test');
const couchbase = require('couchbase');

const login = { username: 'app', password: 'secret' };
const timeouts = { kvTimeout: 20000, connectTimeout: 20000, managementTimeout: 20000 };
let cluster;

before(async () => {
  cluster = await couchbase.connect(`couchbase://${process.env.BOBBIN_ADDRESS}`, { ...login, timeouts });
});
after(() => cluster.close());

test('a document in a collection of a bucket', async () => {
  const airlines = cluster.bucket('travel').scope('inventory').collection('airline');
  const { content } = await airlines.get('airline_10');
  assert.deepStrictEqual(content, { name: '40-Mile Air', fleet: [1, 2.5, null] });
  assert.deepStrictEqual((await airlines.get('line/1')).content, { n: 1 });
  assert.strictEqual((await airlines.lookupIn('airline_10', [couchbase.LookupInSpec.get('fleet[1]')])).content[0].value, 2.5);
});

test('what its user may do', async () => {
  const airlines = cluster.bucket('travel').scope('inventory').collection('airline');
  await assert.rejects(airlines.upsert('airline_10', {}));
});
