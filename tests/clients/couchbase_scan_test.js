// Range scans of the official Couchbase SDK, unmodified, against a server started with --dev at BOBBIN_ADDRESS
// (host:port).
'use strict';

const assert = require('node:assert');
const { after, before, test } = require('node:test');
const couchbase = require('couchbase');

const { MutationState, PrefixScan, RangeScan, SamplingScan, ScanTerm } = couchbase;
const url = `couchbase://${process.env.BOBBIN_ADDRESS}`;
const login = { username: 'Administrator', password: 'password' };
const timeouts = { kvTimeout: 20000, kvScanTimeout: 40000, connectTimeout: 20000, managementTimeout: 20000 };
const sorted = (results) => results.map(({ id }) => id).sort();
const ids = Array.from({ length: 200 }, (_, i) => `doc-${String(i).padStart(4, '0')}`);

let cluster;
let documents;  // in a collection of its own
let state;

before(async () => {
  cluster = await couchbase.connect(url, { ...login, timeouts });
  const bucket = cluster.bucket('default');
  await bucket.collections().createScope('scanned');
  await bucket.collections().createCollection('docs', 'scanned');
  documents = bucket.scope('scanned').collection('docs');
  state = new MutationState();
  const stored = await Promise.all(ids.map((id, i) => documents.upsert(id, { i })));
  // The SDK keeps the first that it is given of a vbucket.
  for (const { token } of stored.reverse()) state.add(token);
  // Of another collection: never shown.
  await bucket.defaultCollection().upsert('doc-0000', 'elsewhere');
});
after(() => cluster.close());

const scan = (type, options = {}) => documents.scan(type, { consistentWith: state, ...options });

test('a range with all its documents', async () => {
  const results = await scan(new RangeScan());
  assert.deepStrictEqual(sorted(results), ids);
  for (const { id, content, cas, expiryTime } of results) {
    assert.deepStrictEqual(content, { i: Number(id.slice(4)) });
    assert.ok(cas);
    assert.ok(!expiryTime);
  }
});

test('ids only', async () => {
  const results = await scan(new RangeScan(), { idsOnly: true });
  assert.deepStrictEqual(sorted(results), ids);
  for (const { content } of results) assert.ok(content === undefined || content === null);
});

test('from and to, with and without themselves', async () => {
  const of = async (from, to) => sorted(await scan(new RangeScan(from, to), { idsOnly: true }));
  assert.deepStrictEqual(await of(new ScanTerm('doc-0010'), new ScanTerm('doc-0020')), ids.slice(10, 21));
  assert.deepStrictEqual(
    await of(new ScanTerm('doc-0010', true), new ScanTerm('doc-0020', true)), ids.slice(11, 20),
  );
  assert.deepStrictEqual(await of(undefined, new ScanTerm('doc-0005')), ids.slice(0, 6));
  assert.deepStrictEqual(await of(new ScanTerm('doc-0195'), undefined), ids.slice(195));
  assert.deepStrictEqual(await of(new ScanTerm('x'), new ScanTerm('y')), []);
});

test('a prefix', async () => {
  assert.deepStrictEqual(sorted(await scan(new PrefixScan('doc-001'), { idsOnly: true })), ids.slice(10, 20));
  assert.deepStrictEqual(sorted(await scan(new PrefixScan('nothing'))), []);
});

test('a sample, the same for a seed', async () => {
  const sample = async (limit, seed) => sorted(await scan(new SamplingScan(limit, seed), { idsOnly: true }));
  const some = await sample(20, 7);
  assert.ok(some.length > 0 && some.length <= 20, `${some.length}`);
  for (const id of some) assert.ok(ids.includes(id));
  assert.deepStrictEqual(await sample(1000, 7), ids);
});

test('small batches, side by side', async () => {
  const options = { idsOnly: true, batchItemLimit: 1, batchByteLimit: 20, concurrency: 8 };
  assert.deepStrictEqual(sorted(await scan(new RangeScan(), options)), ids);
});

test('what was written is there when it is asked for', async () => {
  for (let i = 0; i < 5; ++i) {
    const { token } = await documents.upsert('fresh', { i });
    const consistentWith = new MutationState(token);
    const [found] = await documents.scan(new PrefixScan('fresh'), { consistentWith });
    assert.deepStrictEqual(found.content, { i });
  }
  await documents.remove('fresh');
});

test('a collection that is not there', async () => {
  const nowhere = cluster.bucket('default').scope('scanned').collection('none');
  await assert.rejects(async () => nowhere.scan(new RangeScan(), { timeout: 1000 }), couchbase.CouchbaseError);
});
