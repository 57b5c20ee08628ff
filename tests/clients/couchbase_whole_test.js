// The rest of what the official Couchbase SDK offers for documents and buckets, unmodified, against a server started
// with --dev at BOBBIN_ADDRESS, whose HTTP is at BOBBIN_HTTP (both host:port).
'use strict';

const assert = require('node:assert');
const crypto = require('node:crypto');
const net = require('node:net');
const { after, before, test } = require('node:test');
const couchbase = require('couchbase');

const { LookupInMacro, LookupInSpec, MutateInMacro, MutateInSpec } = couchbase;
const url = `couchbase://${process.env.BOBBIN_ADDRESS}`;
const login = { username: 'Administrator', password: 'password' };
const timeouts = { kvTimeout: 20000, connectTimeout: 20000, managementTimeout: 20000 };

let cluster;
let documents;

before(async () => {
  cluster = await couchbase.connect(url, { ...login, timeouts });
  documents = cluster.bucket('default').defaultCollection();
});
after(() => cluster.close());

test('every way to change a part', async () => {
  await documents.upsert('parts', { a: [2], n: 5, o: { x: 1 } });
  const { content } = await documents.mutateIn('parts', [
    MutateInSpec.arrayPrepend('a', 1), MutateInSpec.arrayAppend('a', [4, 5], { multi: true }),
    MutateInSpec.arrayInsert('a[2]', 3), MutateInSpec.arrayAddUnique('a', 6),
    MutateInSpec.replace('o.x', { y: null }), MutateInSpec.decrement('n', 7), MutateInSpec.insert('o.z', 'new'),
  ]);
  assert.strictEqual(content[5].value, -2);
  assert.deepStrictEqual(
    (await documents.get('parts')).content, { a: [1, 2, 3, 4, 5, 6], n: -2, o: { x: { y: null }, z: 'new' } },
  );
  await assert.rejects(documents.mutateIn('parts', [MutateInSpec.arrayAddUnique('a', 6)]), couchbase.PathExistsError);
  await assert.rejects(documents.mutateIn('parts', [MutateInSpec.replace('none', 1)]), couchbase.PathNotFoundError);
  await assert.rejects(documents.mutateIn('parts', [MutateInSpec.upsert('a.x', 1)]), couchbase.PathMismatchError);
  await assert.rejects(documents.mutateIn('parts', [MutateInSpec.upsert('a[', 1)]), couchbase.PathInvalidError);
  const deep = Array.from({ length: 40 }, () => 'd').join('.');
  await assert.rejects(documents.mutateIn('parts', [MutateInSpec.upsert(deep, 1)]), couchbase.PathTooBigError);
});

test('whole documents in requests for parts', async () => {
  const { Insert, Replace, Upsert } = couchbase.StoreSemantics;
  await documents.mutateIn('whole', [
    MutateInSpec.upsert('mark', 1, { xattr: true }), MutateInSpec.upsert('', { n: 1 }),
  ], { storeSemantics: Insert });
  await documents.mutateIn('whole', [
    MutateInSpec.upsert('mark', 2, { xattr: true }), MutateInSpec.replace('', { n: 2 }),
  ], { storeSemantics: Replace });
  const read = [LookupInSpec.get('mark', { xattr: true }), LookupInSpec.get('')];
  assert.deepStrictEqual((await documents.lookupIn('whole', read)).content.map(({ value }) => value), [2, { n: 2 }]);
  await documents.mutateIn('whole', [
    MutateInSpec.upsert('mark', 3, { xattr: true }), MutateInSpec.upsert('', { n: 3 }),
  ], { storeSemantics: Upsert });
  assert.deepStrictEqual((await documents.get('whole')).content, { n: 3 });
  await documents.mutateIn('whole', [MutateInSpec.remove('')]);
  assert.strictEqual((await documents.exists('whole')).exists, false);
});

test('everything there is to know of a document', async () => {
  const { cas } = await documents.upsert('known', { a: 1 }, { expiry: 1000 });
  const { content } = await documents.lookupIn('known', [
    LookupInMacro.Document, LookupInMacro.Expiry, LookupInMacro.Cas, LookupInMacro.SeqNo, LookupInMacro.LastModified,
    LookupInMacro.IsDeleted, LookupInMacro.RevId, LookupInMacro.ValueSizeBytes,
  ].map((macro) => LookupInSpec.get(macro, { xattr: true })));
  const [all, expiry, shown, seqno, modified, deleted, revision, size] = content.map(({ value }) => value);
  assert.deepStrictEqual(
    [all.exptime, all.CAS, all.seqno, all.last_modified, all.deleted, all.revid, all.value_bytes],
    [expiry, shown, seqno, modified, deleted, revision, size],
  );
  assert.strictEqual(BigInt(shown).toString(), cas.toString());
  assert.strictEqual(deleted, false);
  assert.strictEqual(size, 7);
  assert.ok(Math.abs(Number(modified) - Date.now() / 1000) < 60, modified);
  await documents.mutateIn('known', [
    MutateInSpec.upsert('_t.seqno', MutateInMacro.SeqNo, { createPath: true }),
    MutateInSpec.upsert('_t.crc', MutateInMacro.ValueCrc32c, { createPath: true }),
  ]);
  const stamps = (await documents.lookupIn('known', [
    LookupInSpec.get('_t', { xattr: true }), LookupInSpec.get(LookupInMacro.SeqNo, { xattr: true }),
    LookupInSpec.get('$document.value_crc32c', { xattr: true }),
  ])).content.map(({ value }) => value);
  assert.deepStrictEqual(stamps[0], { seqno: stamps[1], crc: stamps[2] });
});

test('every copy there is', async () => {
  await documents.upsert('copies', { n: 1 });
  const all = await documents.getAllReplicas('copies');
  assert.deepStrictEqual(all.map(({ content, isReplica }) => [content, isReplica]), [[{ n: 1 }, false]]);
  await assert.rejects(documents.getAnyReplica('no copy'), couchbase.DocumentUnretrievableError);
});

test('transcoders of the user', async () => {
  const reversed = {
    encode: (value) => [Buffer.from(JSON.stringify(value).split('').reverse().join('')), 0x03000000],
    decode: (bytes, flags) => ({ flags, value: JSON.parse(bytes.toString().split('').reverse().join('')) }),
  };
  await documents.upsert('reversed', { n: 1 }, { transcoder: reversed });
  const own = await documents.get('reversed', { transcoder: reversed });
  assert.deepStrictEqual(own.content, { flags: 0x03000000, value: { n: 1 } });
  for (const value of ['text \u00e4\u{1f600}', 0, -1.5, true, null, [1, [2]], { k: {} }]) {
    await documents.upsert('typed', value);
    assert.deepStrictEqual((await documents.get('typed')).content, value);
  }
});

test('the structures that the SDK makes of documents', async () => {
  const list = documents.list('list');
  await list.push(1);
  await list.unshift(0);
  assert.deepStrictEqual(await list.getAll(), [0, 1]);
  const map = documents.map('map');
  await map.set('a', 1);
  assert.strictEqual(await map.get('a'), 1);
  const set = documents.set('set');
  assert.deepStrictEqual([await set.add('x'), await set.add('x'), await set.contains('x')], [true, false, true]);
  const queue = documents.queue('queue');
  await queue.push(1);
  await queue.push(2);
  assert.deepStrictEqual([await queue.pop(), await queue.size()], [1, 1]);
});

test('documents that are as large as can be, and larger', async () => {
  const most = 'x'.repeat((1 << 20) - 2);
  await documents.upsert('most', most);
  assert.strictEqual((await documents.get('most')).content.length, most.length);
  await assert.rejects(
    documents.upsert('more', crypto.randomBytes((1 << 20) + 1)), couchbase.ValueTooLargeError,
  );
});

test('a document ends when it says', async () => {
  await documents.upsert('brief', 1, { expiry: 1 });
  for (const end = Date.now() + 20000; (await documents.exists('brief')).exists;) assert.ok(Date.now() < end);
  await assert.rejects(documents.get('brief'), couchbase.DocumentNotFoundError);
});

// The answer of the text protocol, whose clients need no login here.
function text(request, end) {
  const [host, port] = process.env.BOBBIN_ADDRESS.split(':');
  return new Promise((resolve, reject) => {
    const socket = net.connect(Number(port), host, () => socket.write(request));
    let answer = '';
    socket.on('data', (bytes) => {
      answer += bytes;
      if (!answer.endsWith(end)) return;
      socket.destroy();
      resolve(answer);
    });
    socket.on('error', reject);
  });
}

// The SDK compresses what gets shorter by it, and says that it takes such values.
test('values that are kept compressed', async () => {
  const setMode = async (mode) => {
    const answer = await fetch(`http://${process.env.BOBBIN_HTTP}/pools/default/buckets/default`, {
      method: 'POST', body: new URLSearchParams({ compressionMode: mode }),
      headers: { Authorization: `Basic ${btoa(`${login.username}:${login.password}`)}` },
    });
    assert.strictEqual(answer.status, 200, await answer.text());
  };
  const value = { words: Array.from({ length: 500 }, () => 'again') };
  const plain = JSON.stringify(value);
  for (const mode of ['passive', 'active', 'off']) {
    await setMode(mode);
    const key = `compressed-${mode}`;
    await documents.upsert(key, value);
    assert.deepStrictEqual((await documents.get(key)).content, value);
    const size = Number(/ size=(\d+)/.exec(await text(`me ${key}\r\n`, '\r\n'))[1]);
    assert.strictEqual(size < plain.length / 2, mode !== 'off', `${size}`);
    const read = await text(`get ${key}\r\n`, 'END\r\n');
    assert.strictEqual(read.split('\r\n')[1], plain);
    assert.strictEqual(await text(`mg ${key} s\r\n`, '\r\n'), `HD s${plain.length}\r\n`);
    const found = await documents.lookupIn(key, [LookupInSpec.get('words[499]')]);
    assert.strictEqual(found.content[0].value, 'again');
    await documents.mutateIn(key, [MutateInSpec.arrayAppend('words', 'new')]);
    assert.strictEqual((await documents.get(key)).content.words[500], 'new');
    const binary = Buffer.alloc(5000, 'b');
    await documents.upsert(key, binary);
    await documents.binary().append(key, 'c');
    assert.deepStrictEqual((await documents.get(key)).content, Buffer.concat([binary, Buffer.from('c')]));
  }
});

test('what is set when a bucket is made', async () => {
  const { BucketType, CompressionMode, ConflictResolutionType, EvictionPolicy, StorageBackend } = couchbase;
  const buckets = cluster.buckets();
  const kinds = [
    { bucketType: BucketType.Couchbase, evictionPolicy: EvictionPolicy.FullEviction, maxExpiry: 77,
      compressionMode: CompressionMode.Active, conflictResolutionType: ConflictResolutionType.Timestamp,
      minimumDurabilityLevel: couchbase.DurabilityLevel.PersistToMajority, storageBackend: StorageBackend.Couchstore },
    { bucketType: BucketType.Couchbase, evictionPolicy: EvictionPolicy.ValueOnly,
      compressionMode: CompressionMode.Off, conflictResolutionType: ConflictResolutionType.SequenceNumber },
    { bucketType: BucketType.Ephemeral, evictionPolicy: EvictionPolicy.NoEviction },
    { bucketType: BucketType.Ephemeral, evictionPolicy: EvictionPolicy.NotRecentlyUsed, compressionMode: CompressionMode.Passive },
    { bucketType: BucketType.Memcached },
  ];
  for (const [number, kind] of kinds.entries()) {
    const asked = { name: `kind-${number}`, ramQuotaMB: 100, numReplicas: 0, flushEnabled: false, ...kind };
    await buckets.createBucket(asked);
    const told = await buckets.getBucket(asked.name);
    for (const [key, value] of Object.entries(asked)) {
      if (key !== 'conflictResolutionType') assert.strictEqual(told[key], value, `${asked.name}: ${key}`);
    }
    const kept = cluster.bucket(asked.name).defaultCollection();
    await kept.upsert('k', 1);
    const { expiryTime } = await kept.get('k', { withExpiry: true });
    if (kind.maxExpiry) assert.ok(expiryTime - Date.now() / 1000 <= 78, `${expiryTime}`);
    else assert.ok(!expiryTime);
    await buckets.dropBucket(asked.name);
  }
});
