// The official Couchbase SDK, unmodified, against a server started with --dev at BOBBIN_ADDRESS (host:port).
'use strict';

const assert = require('node:assert');
const { after, before, test } = require('node:test');
const couchbase = require('couchbase');

const { LookupInSpec, MutateInSpec, DurabilityLevel } = couchbase;
const url = `couchbase://${process.env.BOBBIN_ADDRESS}`;
const login = { username: 'Administrator', password: 'password' };
const timeouts = { kvTimeout: 20000, connectTimeout: 20000 };

let cluster;
let documents;

before(async () => {
  cluster = await couchbase.connect(url, { ...login, timeouts });
  documents = cluster.bucket('default').defaultCollection();
});
after(() => cluster.close());

test('documents are stored, read, and gone', async () => {
  const { token } = await documents.upsert('k', { a: 1 });
  assert.ok(token, 'a mutation token');
  const found = await documents.get('k');
  assert.deepStrictEqual(found.content, { a: 1 });
  assert.strictEqual((await documents.exists('k')).exists, true);
  await documents.remove('k');
  assert.strictEqual((await documents.exists('k')).exists, false);
  await assert.rejects(documents.get('k'), couchbase.DocumentNotFoundError);
  await assert.rejects(documents.remove('k'), couchbase.DocumentNotFoundError);
});

test('insert, replace and CAS', async () => {
  await assert.rejects(documents.replace('c', 1), couchbase.DocumentNotFoundError);
  const { cas } = await documents.insert('c', 1);
  await assert.rejects(documents.insert('c', 2), couchbase.DocumentExistsError);
  await documents.replace('c', 3, { cas });
  await assert.rejects(documents.replace('c', 4, { cas }), couchbase.CasMismatchError);
  await assert.rejects(documents.remove('c', { cas }), couchbase.CasMismatchError);
  assert.strictEqual((await documents.get('c')).content, 3);
});

test('values that are not JSON', async () => {
  const bytes = Buffer.from([0, 255, 10, 13]);
  await documents.upsert('bytes', bytes);
  assert.deepStrictEqual((await documents.get('bytes')).content, bytes);
  await documents.upsert('text', Buffer.from('b'));
  await documents.binary().append('text', Buffer.from('c'));
  await documents.binary().prepend('text', Buffer.from('a'));
  assert.strictEqual((await documents.get('text')).content.toString(), 'abc');
  const { content } = await documents.lookupIn('text', [LookupInSpec.get('a')]);
  assert.ok(content[0].error instanceof couchbase.DocumentNotJsonError, `${content[0].error}`);
});

test('counters', async () => {
  const counters = documents.binary();
  assert.strictEqual((await counters.increment('n', 2, { initial: 5 })).value, 5);
  assert.strictEqual((await counters.increment('n', 2)).value, 7);
  assert.strictEqual((await counters.decrement('n', 3)).value, 4);
  await assert.rejects(counters.increment('no-counter', 1), couchbase.DocumentNotFoundError);
});

test('extended attributes', async () => {
  const { MutateInMacro } = couchbase;
  await documents.upsert('x', { a: 1 });
  const { cas } = await documents.mutateIn('x', [
    MutateInSpec.upsert('user.b', [1, 2], { createPath: true, xattr: true }),
    MutateInSpec.upsert('_sys.cas', MutateInMacro.Cas, { createPath: true, xattr: true }),
    MutateInSpec.upsert('c', 3),
  ]);
  assert.deepStrictEqual((await documents.get('x')).content, { a: 1, c: 3 });
  await documents.upsert('x', { d: 4 });
  const { content } = await documents.lookupIn('x', [
    LookupInSpec.get('user.b[1]', { xattr: true }), LookupInSpec.get('_sys.cas', { xattr: true }),
    LookupInSpec.get('$XTOC', { xattr: true }), LookupInSpec.get('d'),
  ]);
  assert.strictEqual(content[0].value, 2);
  const stamped = Buffer.from(content[1].value.slice(2), 'hex').readBigUInt64LE();
  assert.strictEqual(stamped.toString(), cas.toString());
  assert.deepStrictEqual(content[2].value, ['user', '_sys']);
  assert.strictEqual(content[3].value, 4);
});

test('attributes of deleted documents', async () => {
  await documents.upsert('gone', { a: 1 });
  await documents.mutateIn('gone', [MutateInSpec.upsert('_sys', 1, { xattr: true })]);
  await documents.remove('gone');
  await assert.rejects(documents.get('gone'), couchbase.DocumentNotFoundError);
  assert.strictEqual((await documents.exists('gone')).exists, false);
  await documents.insert('gone', { b: 2 });
  const { content } = await documents.lookupIn('gone', [LookupInSpec.get('$XTOC', { xattr: true })]);
  assert.deepStrictEqual(content[0].value, []);
});

test('a transaction is seen as a whole', async () => {
  await documents.upsert('t-old', { n: 1 });
  await documents.upsert('t-gone', { n: 1 });
  await cluster.transactions().run(async (attempt) => {
    const made = await attempt.insert(documents, 't-new', { a: 1 });
    await attempt.replace(made, { a: 2 });
    await attempt.replace(await attempt.get(documents, 't-old'), { n: 2 });
    await attempt.remove(await attempt.get(documents, 't-gone'));
    // What is staged is in deleted documents and in attributes: nobody else sees it.
    await assert.rejects(documents.get('t-new'), couchbase.DocumentNotFoundError);
    assert.deepStrictEqual((await documents.get('t-old')).content, { n: 1 });
    assert.deepStrictEqual((await documents.get('t-gone')).content, { n: 1 });
    assert.deepStrictEqual((await attempt.get(documents, 't-new')).content, { a: 2 });
  });
  assert.deepStrictEqual((await documents.get('t-new')).content, { a: 2 });
  assert.deepStrictEqual((await documents.get('t-old')).content, { n: 2 });
  await assert.rejects(documents.get('t-gone'), couchbase.DocumentNotFoundError);
});

test('a transaction that fails leaves nothing', async () => {
  await documents.upsert('u-old', { n: 1 });
  const fail = cluster.transactions().run(async (attempt) => {
    await attempt.insert(documents, 'u-new', { a: 1 });
    await attempt.replace(await attempt.get(documents, 'u-old'), { n: 2 });
    throw new Error('enough');
  });
  await assert.rejects(fail, couchbase.TransactionFailedError);
  await assert.rejects(documents.get('u-new'), couchbase.DocumentNotFoundError);
  assert.deepStrictEqual((await documents.get('u-old')).content, { n: 1 });
  const { content } = await documents.lookupIn('u-old', [LookupInSpec.get('$XTOC', { xattr: true })]);
  assert.deepStrictEqual(content[0].value, []);
  await cluster.transactions().run(async (attempt) => { await attempt.insert(documents, 'u-new', { a: 3 }); });
  assert.deepStrictEqual((await documents.get('u-new')).content, { a: 3 });
});

test('a transaction with documents that are not JSON', async () => {
  const [old, bytes, late] = [[1, 255], [0, 254, 10], [128, 0]].map((numbers) => Buffer.from(numbers));
  await documents.upsert('b-old', old);
  await documents.upsert('b-json', { n: 1 });
  await cluster.transactions().run(async (attempt) => {
    const made = await attempt.insert(documents, 'b-new', old);
    await attempt.replace(made, bytes);
    await attempt.replace(await attempt.get(documents, 'b-old'), bytes);
    await attempt.replace(await attempt.get(documents, 'b-json'), late);
    assert.deepStrictEqual((await attempt.get(documents, 'b-new')).content, bytes);
    assert.deepStrictEqual((await documents.get('b-old')).content, old);
    // It is staged as bytes, not as JSON that stands for them.
    const { content } = await documents.lookupIn('b-old', [LookupInSpec.get('txn.op.bin', { xattr: true })]);
    assert.strictEqual(content[0].value, `cb-content-base64-encoded:${bytes.toString('base64')}`);
  });
  assert.deepStrictEqual((await documents.get('b-new')).content, bytes);
  assert.deepStrictEqual((await documents.get('b-old')).content, bytes);
  assert.deepStrictEqual((await documents.get('b-json')).content, late, 'its flags say what it is');
  const fail = cluster.transactions().run(async (attempt) => {
    await attempt.replace(await attempt.get(documents, 'b-old'), { n: 2 });
    throw new Error('enough');
  });
  await assert.rejects(fail, couchbase.TransactionFailedError);
  assert.deepStrictEqual((await documents.get('b-old')).content, bytes);
});

test('large values, which the SDK compresses', async () => {
  const large = { text: 'again and '.repeat(10000) };
  await documents.upsert('z', large);
  assert.deepStrictEqual((await documents.get('z')).content, large);
});

test('get and lock', async () => {
  await documents.upsert('l', 1);
  const { cas, content } = await documents.getAndLock('l', 30);
  assert.strictEqual(content, 1);
  const short = { timeout: 500 };  // the SDK tries again until then
  await assert.rejects(documents.getAndLock('l', 30, short), couchbase.TimeoutError);
  await assert.rejects(documents.upsert('l', 2, short), couchbase.TimeoutError);
  assert.strictEqual((await documents.get('l')).content, 1);
  await documents.unlock('l', cas);
  await assert.rejects(documents.unlock('l', cas), couchbase.CouchbaseError);
  const second = await documents.getAndLock('l', 30);
  await documents.replace('l', 3, { cas: second.cas });
  await documents.upsert('l', 4);
  assert.strictEqual((await documents.get('l')).content, 4);
});

test('a change that keeps the expiry', async () => {
  await documents.upsert('p', { n: 1 }, { expiry: 1000 });
  const expiry = async () => (await documents.get('p', { withExpiry: true })).expiryTime;
  const before = await expiry();
  await documents.upsert('p', { n: 2 }, { preserveExpiry: true });
  await documents.replace('p', { n: 3 }, { preserveExpiry: true });
  assert.strictEqual(await expiry(), before);
  await documents.upsert('p', { n: 4 });
  assert.ok(!(await expiry()));
});

test('expiry', async () => {
  const now = Date.now() / 1000;
  await documents.upsert('e', { a: 1 }, { expiry: 1000 });
  const first = await documents.get('e', { withExpiry: true });
  assert.ok(Math.abs(first.expiryTime - now - 1000) < 60, `${first.expiryTime}`);
  await documents.touch('e', 3000);
  const { expiryTime } = await documents.get('e', { withExpiry: true });
  assert.ok(Math.abs(expiryTime - now - 3000) < 60, `${expiryTime}`);
  assert.deepStrictEqual((await documents.getAndTouch('e', 2000)).content, { a: 1 });
  await documents.upsert('e', 2);
  assert.ok(!(await documents.get('e', { withExpiry: true })).expiryTime);
});

test('durability that one node can give', async () => {
  for (const durabilityLevel of [
    DurabilityLevel.Majority, DurabilityLevel.MajorityAndPersistOnMaster, DurabilityLevel.PersistToMajority,
  ]) {
    await documents.upsert('d', { durabilityLevel }, { durabilityLevel });
    assert.deepStrictEqual((await documents.get('d')).content, { durabilityLevel });
  }
  await documents.remove('d', { durabilityLevel: DurabilityLevel.PersistToMajority });
});

test('parts of documents are read', async () => {
  await documents.upsert('s', { a: { b: [1, 2, 3] }, n: 5 });
  const { content } = await documents.lookupIn('s', [
    LookupInSpec.get('a.b[-1]'), LookupInSpec.exists('zz'), LookupInSpec.count('a.b'), LookupInSpec.get('zz'),
    LookupInSpec.get(couchbase.LookupInMacro.ValueSizeBytes, { xattr: true }),
  ]);
  assert.strictEqual(content[0].value, 3);
  assert.strictEqual(content[1].value, false);
  assert.strictEqual(content[2].value, 3);
  assert.ok(content[3].error instanceof couchbase.PathNotFoundError);
  assert.strictEqual(content[4].value, JSON.stringify({ a: { b: [1, 2, 3] }, n: 5 }).length);
  assert.deepStrictEqual((await documents.get('s', { project: ['n'] })).content, { n: 5 });
  await assert.rejects(documents.lookupIn('none', [LookupInSpec.get('a')]), couchbase.DocumentNotFoundError);
});

test('parts of documents are changed', async () => {
  await documents.upsert('m', { a: [1, 2], n: 5 });
  const { content } = await documents.mutateIn('m', [
    MutateInSpec.upsert('x.y', true, { createPath: true }), MutateInSpec.increment('n', 3),
    MutateInSpec.arrayAppend('a', 9), MutateInSpec.remove('a[0]'),
  ]);
  assert.strictEqual(content[1].value, 8);
  assert.deepStrictEqual((await documents.get('m')).content, { a: [2, 9], n: 8, x: { y: true } });
  await assert.rejects(documents.mutateIn('m', [MutateInSpec.insert('n', 1)]), couchbase.PathExistsError);
  assert.deepStrictEqual((await documents.get('m')).content, { a: [2, 9], n: 8, x: { y: true } });
  const { Insert, Upsert } = couchbase.StoreSemantics;
  await documents.mutateIn('made', [MutateInSpec.upsert('q', 1)], { storeSemantics: Upsert });
  assert.deepStrictEqual((await documents.get('made')).content, { q: 1 });
  await assert.rejects(
    documents.mutateIn('made', [MutateInSpec.upsert('q', 2)], { storeSemantics: Insert }),
    couchbase.DocumentExistsError,
  );
});

test('many at once change one document, and none is lost', async () => {
  await documents.upsert('busy', { n: 0 });
  const one = () => documents.mutateIn('busy', [MutateInSpec.increment('n', 1)]);
  await Promise.all(Array.from({ length: 200 }, one));
  assert.deepStrictEqual((await documents.get('busy')).content, { n: 200 });
});

test('a copy is read from wherever there is one', async () => {
  await documents.upsert('r', 1);
  const found = await documents.getAnyReplica('r');
  assert.strictEqual(found.content, 1);
  assert.strictEqual(found.isReplica, false);
  await documents.upsert('parts', { a: { b: 1 } });
  const part = await documents.lookupInAnyReplica('parts', [couchbase.LookupInSpec.get('a.b')]);
  assert.strictEqual(part.content[0].value, 1);
  assert.strictEqual(part.isReplica, false);
  const parts = await documents.lookupInAllReplicas('parts', [couchbase.LookupInSpec.get('a')]);
  assert.deepStrictEqual(parts.map(({ content }) => content[0].value), [{ b: 1 }]);
});

test('ping and diagnostics', async () => {
  const { services } = await cluster.ping({ serviceTypes: ['kv'] });
  assert.ok(services.kv.length > 0);
  for (const { state } of services.kv) assert.strictEqual(state, 0, 'ok');
  assert.ok((await cluster.diagnostics()).services.kv.length > 0);
});

test('who does not know the password stays out', async () => {
  await assert.rejects(
    couchbase.connect(url, { ...login, password: 'wrong', timeouts }), couchbase.AuthenticationFailureError,
  );
});

test('a bucket that is not there', async () => {
  const documents = cluster.bucket('nowhere').defaultCollection();
  await assert.rejects(documents.get('k', { timeout: 1000 }));
});
