// The managers of the official Couchbase SDK, unmodified, against a server started with --dev at BOBBIN_ADDRESS,
// whose HTTP is at BOBBIN_HTTP (both host:port).
'use strict';

const assert = require('node:assert');
const http = require('node:http');
const { after, before, test } = require('node:test');
const couchbase = require('couchbase');

const url = `couchbase://${process.env.BOBBIN_ADDRESS}`;
const login = { username: 'Administrator', password: 'password' };
const timeouts = { kvTimeout: 20000, connectTimeout: 20000, managementTimeout: 20000 };

let cluster;

before(async () => {
  cluster = await couchbase.connect(url, { ...login, timeouts });
});
after(() => cluster.close());

/** The status, headers and text that a path is answered with. */
function get(path, options = {}) {
  return new Promise((resolve, reject) => {
    const auth = `${login.username}:${login.password}`;
    http.get(`http://${process.env.BOBBIN_HTTP}${path}`, { auth, ...options }, (answer) => {
      let text = '';
      answer.on('data', (some) => { text += some; });
      answer.on('end', () => resolve({ status: answer.statusCode, headers: answer.headers, text }));
    }).on('error', reject);
  });
}

test('a ping finds the management port', async () => {
  const { services } = await cluster.ping({ serviceTypes: ['mgmt', 'kv'] });
  assert.ok(services.mgmt.length > 0);
  for (const { state } of [...services.mgmt, ...services.kv]) assert.strictEqual(state, 0, 'ok');
});

test('buckets are described', async () => {
  const all = await cluster.buckets().getAllBuckets();
  assert.deepStrictEqual(all.map(({ name }) => name), ['default']);
  const bucket = await cluster.buckets().getBucket('default');
  assert.strictEqual(bucket.bucketType, couchbase.BucketType.Couchbase);
  assert.strictEqual(bucket.numReplicas, 0);
  assert.ok(bucket.ramQuotaMB > 0);
  assert.strictEqual(bucket.evictionPolicy, couchbase.EvictionPolicy.ValueOnly);
  await assert.rejects(cluster.buckets().getBucket('nowhere'), couchbase.BucketNotFoundError);
});

test('scopes are described', async () => {
  const scopes = await cluster.bucket('default').collections().getAllScopes();
  const defaults = scopes.find(({ name }) => name === '_default');
  assert.ok(defaults.collections.some(({ name }) => name === '_default'));
});

test('scopes and collections are made, changed and dropped', async () => {
  const collections = cluster.bucket('default').collections();
  const scope = async (name) => (await collections.getAllScopes()).find((one) => one.name === name);
  await collections.createScope('s');
  await assert.rejects(collections.createScope('s'), couchbase.ScopeExistsError);
  await collections.createCollection('c', 's', { maxExpiry: 60 });
  await assert.rejects(collections.createCollection('c', 's'), couchbase.CollectionExistsError);
  await assert.rejects(collections.createCollection('c', 'none'), couchbase.ScopeNotFoundError);
  assert.deepStrictEqual((await scope('s')).collections.map(({ name, maxExpiry }) => [name, maxExpiry]), [['c', 60]]);
  await collections.updateCollection('c', 's', { maxExpiry: 90 });
  assert.strictEqual((await scope('s')).collections[0].maxExpiry, 90);
  await collections.dropCollection('c', 's');
  await assert.rejects(collections.dropCollection('c', 's'), couchbase.CollectionNotFoundError);
  await collections.dropScope('s');
  await assert.rejects(collections.dropScope('s'), couchbase.ScopeNotFoundError);
  assert.strictEqual(await scope('s'), undefined);
});

test('users and groups are made, changed and dropped', async () => {
  const users = cluster.users();
  await assert.rejects(users.getUser('app'), couchbase.UserNotFoundError);
  await users.upsertGroup({ name: 'monitors', description: 'who looks', roles: [{ name: 'ro_admin' }] });
  await users.upsertUser({
    username: 'app', displayName: 'The App', password: 'secret!', groups: ['monitors'],
    roles: [{ name: 'data_reader', bucket: 'default' }, { name: 'data_writer', bucket: 'default' }],
  });
  const app = await users.getUser('app');
  assert.strictEqual(app.displayName, 'The App');
  assert.deepStrictEqual(app.groups, ['monitors']);
  assert.deepStrictEqual(
    app.effectiveRoles.map(({ name }) => name).sort(), ['data_reader', 'data_writer', 'ro_admin'],
  );
  assert.ok((await users.getAllUsers()).some(({ username }) => username === 'Administrator'));
  assert.ok((await users.getRoles()).some(({ name }) => name === 'bucket_admin'));
  assert.deepStrictEqual((await users.getAllGroups()).map(({ name }) => name), ['monitors']);
  assert.strictEqual((await users.getGroup('monitors')).description, 'who looks');

  const other = await couchbase.connect(url, { username: 'app', password: 'secret!', timeouts });
  await other.bucket('default').defaultCollection().upsert('by-app', 1);
  await assert.rejects(other.users().upsertUser({ username: 'x', password: 'y', roles: [] }));
  await other.users().changePassword('changed!');
  await other.close();
  await assert.rejects(
    couchbase.connect(url, { username: 'app', password: 'secret!', timeouts }), couchbase.AuthenticationFailureError,
  );

  await users.dropUser('app');
  await assert.rejects(users.dropUser('app'), couchbase.UserNotFoundError);
  await users.dropGroup('monitors');
  await assert.rejects(users.getGroup('monitors'), couchbase.GroupNotFoundError);
  await assert.rejects(users.dropUser('Administrator'));
});

test('documents of one name are apart in each collection, and go with it', async () => {
  const bucket = cluster.bucket('default');
  await bucket.collections().createScope('shop');
  await bucket.collections().createCollection('carts', 'shop', { maxExpiry: 3600 });
  const carts = bucket.scope('shop').collection('carts');
  await bucket.defaultCollection().upsert('one', { in: 'the default collection' });
  await carts.upsert('one', { in: 'carts', items: [] });
  await carts.mutateIn('one', [couchbase.MutateInSpec.arrayAppend('items', 'tea')]);
  assert.deepStrictEqual((await carts.get('one')).content, { in: 'carts', items: ['tea'] });
  const { expiryTime } = await carts.get('one', { withExpiry: true });
  assert.ok(expiryTime > Date.now() / 1000 && expiryTime <= Date.now() / 1000 + 3601);
  await carts.binary().increment('n', 1, { initial: 5 });
  assert.strictEqual((await bucket.defaultCollection().exists('n')).exists, false);
  await bucket.collections().dropCollection('carts', 'shop');
  await bucket.collections().createCollection('carts', 'shop');
  await assert.rejects(carts.get('one'), couchbase.DocumentNotFoundError);
  assert.deepStrictEqual((await bucket.defaultCollection().get('one')).content, { in: 'the default collection' });
  await bucket.collections().dropScope('shop');
});

test('buckets are made, used, changed, emptied and dropped', async () => {
  for (const bucketType of [couchbase.BucketType.Couchbase, couchbase.BucketType.Ephemeral]) {
    const buckets = cluster.buckets();
    await buckets.createBucket({ name: 'second', ramQuotaMB: 100, bucketType, numReplicas: 0, flushEnabled: true });
    await assert.rejects(
      buckets.createBucket({ name: 'second', ramQuotaMB: 100, bucketType }), couchbase.BucketExistsError,
    );
    const settings = await buckets.getBucket('second');
    assert.strictEqual(settings.bucketType, bucketType);
    assert.strictEqual(settings.ramQuotaMB, 100);
    assert.strictEqual(settings.flushEnabled, true);
    assert.deepStrictEqual((await buckets.getAllBuckets()).map(({ name }) => name), ['default', 'second']);

    const documents = cluster.bucket('second').defaultCollection();
    await documents.upsert('k', bucketType);
    assert.strictEqual((await documents.get('k')).content, bucketType);
    const toDisk = { durabilityLevel: couchbase.DurabilityLevel.PersistToMajority };
    if (bucketType === couchbase.BucketType.Ephemeral)
      await assert.rejects(documents.upsert('d', 1, toDisk), couchbase.DurabilityImpossibleError);
    else
      await documents.upsert('d', 1, toDisk);
    assert.strictEqual((await cluster.bucket('default').defaultCollection().exists('k')).exists, false);
    await buckets.flushBucket('second');
    assert.strictEqual((await documents.exists('k')).exists, false);
    await buckets.updateBucket({ ...settings, ramQuotaMB: 110, flushEnabled: false });
    assert.strictEqual((await buckets.getBucket('second')).ramQuotaMB, 110);
    await assert.rejects(buckets.flushBucket('second'), couchbase.BucketNotFlushableError);
    await buckets.dropBucket('second');
    await assert.rejects(buckets.getBucket('second'), couchbase.BucketNotFoundError);
    await assert.rejects(buckets.dropBucket('second'), couchbase.BucketNotFoundError);
    await cluster.close();
    cluster = await couchbase.connect(url, { ...login, timeouts });
  }
});

test('a wrong password is told so', async () => {
  assert.strictEqual((await get('/pools', { auth: 'Administrator:wrong' })).status, 401);
});

test('who watches can tell that it lives, and what it does', async () => {
  for (let i = 0; i < 20; ++i) await cluster.bucket('default').defaultCollection().upsert('watched', i);
  assert.strictEqual((await get('/livez')).status, 200);
  assert.strictEqual((await get('/readyz')).status, 200);
  const { status, headers, text } = await get('/metrics');
  assert.strictEqual(status, 200);
  assert.match(headers['content-type'], /^text\/plain; version=0\.0\.4/);
  assert.match(text, /^bobbin_command_duration_seconds_count\{protocol="binary",command="set"\} [1-9]/m);
  assert.match(text, /^bobbin_ready 1$/m);
});
