// The npm package "memcached" (text protocol), unmodified, against the server at BOBBIN_ADDRESS: host:port, or
// the path of a Unix socket.
'use strict';

const assert = require('node:assert');
const { after, beforeEach, test } = require('node:test');
const Memcached = require('memcached');

const address = process.env.BOBBIN_ADDRESS;
const client = new Memcached(address, { timeout: 20000, retries: 0, poolSize: 4, maxValue: 2 * 1024 * 1024 });

// Resolves with what the callback of client[name](...parameters, callback) was given.
const call = (name, ...parameters) =>
  new Promise((resolve, reject) => {
    client[name](...parameters, (error, result) => (error ? reject(error) : resolve(result)));
  });

beforeEach(() => call('flush'));
after(() => client.end());

test('set and get', async () => {
  assert.strictEqual(await call('get', 'key'), undefined);
  assert.strictEqual(await call('set', 'key', 'value', 100), true);
  assert.strictEqual(await call('get', 'key'), 'value');
});

test('types come back through flags', async () => {
  for (const value of ['text', 42, true, { a: [1, null] }, Buffer.from([0, 13, 10, 255])]) {
    await call('set', 'key', value, 0);
    assert.deepStrictEqual(await call('get', 'key'), value);
  }
});

test('add and replace', async () => {
  await assert.rejects(call('replace', 'key', '1', 0), /not stored/i);
  assert.strictEqual(await call('add', 'key', '2', 0), true);
  await assert.rejects(call('add', 'key', '3', 0), /not stored/i);
  assert.strictEqual(await call('replace', 'key', '4', 0), true);
  assert.strictEqual(await call('get', 'key'), '4');
});

test('append and prepend', async () => {
  await assert.rejects(call('append', 'key', '1'), /not stored/i);
  await assert.rejects(call('prepend', 'key', '1'), /not stored/i);
  await call('set', 'key', 'b', 0);
  assert.strictEqual(await call('append', 'key', 'c'), true);
  assert.strictEqual(await call('prepend', 'key', 'a'), true);
  assert.strictEqual(await call('get', 'key'), 'abc');
});

test('incr and decr', async () => {
  assert.strictEqual(await call('incr', 'key', 1), false);
  await call('set', 'key', 9, 0);
  assert.strictEqual(await call('incr', 'key', 1), 10);
  assert.strictEqual(await call('decr', 'key', 3), 7);
  assert.strictEqual(await call('decr', 'key', 30), 0);
  await call('set', 'word', 'text', 0);
  await assert.rejects(call('incr', 'word', 1), /non-numeric/);
});

test('delete', async () => {
  assert.strictEqual(await call('del', 'key'), false);
  await call('set', 'key', '1', 0);
  assert.strictEqual(await call('del', 'key'), true);
  assert.strictEqual(await call('get', 'key'), undefined);
});

test('touch and expiry', async () => {
  assert.strictEqual(await call('touch', 'key', 100), false);
  await call('set', 'key', '1', 1000);
  assert.strictEqual(await call('touch', 'key', 1), true);
  const deadline = Date.now() + 20000;
  while ((await call('get', 'key')) !== undefined) {
    assert.ok(Date.now() < deadline, 'the key did not expire');
  }
});

test('gets and cas', async () => {
  await call('set', 'key', '1', 0);
  const { key, cas } = await call('gets', 'key');
  assert.strictEqual(key, '1');
  assert.strictEqual(await call('cas', 'key', '2', cas, 0), true);
  assert.strictEqual(await call('cas', 'key', '3', cas, 0), false);
  assert.strictEqual(await call('get', 'key'), '2');
});

test('getMulti', async () => {
  const expected = {};
  for (let number = 0; number < 300; number++) expected[`key${number}`] = `value${number}`;
  await Promise.all(Object.entries(expected).map(([key, value]) => call('set', key, value, 0)));
  assert.deepStrictEqual({ ...(await call('getMulti', [...Object.keys(expected), 'absent'])) }, expected);
});

test('flush', async () => {
  await call('set', 'key', '1', 0);
  assert.deepStrictEqual(await call('flush'), [true]);
  assert.strictEqual(await call('get', 'key'), undefined);
});

test('large values', async () => {
  for (const size of [2047, 2048, 32768, 500000, 1000000]) {
    const value = 'abcdefghijklmnopqrstuvwxyz'.repeat(size / 26 + 1).slice(0, size);
    assert.strictEqual(await call('set', 'key', value, 0), true);
    assert.ok((await call('get', 'key')) === value, `${size} bytes`);
  }
});

// This client cuts replies at line ends, so values with CRLF are beyond it.
test('special characters in values and keys', async () => {
  for (const value of ['line\nline', '\u0000\u0001', 'żółw 键 🐢', '"quoted\' \\', 'END']) {
    await call('set', 'key', value, 0);
    assert.strictEqual(await call('get', 'key'), value);
  }
  for (const key of ['żółw', 'a:b/c?d=%20', 'k'.repeat(250)]) {
    await call('set', key, key, 0);
    assert.strictEqual(await call('get', key), key);
  }
});

test('many requests in flight', async () => {
  const numbers = [...Array(2000).keys()];
  await Promise.all(numbers.map((number) => call('set', `key${number}`, `${number}`, 0)));
  const values = await Promise.all(numbers.map((number) => call('get', `key${number}`)));
  assert.deepStrictEqual(values, numbers.map(String));
});

test('version', async () => {
  const [{ version }] = await call('version');
  assert.match(version, /^\d+\.\d+/);
});

test('statistics', async () => {
  const [stats] = await call('stats');
  assert.strictEqual(String(stats.threads), process.env.BOBBIN_THREADS);
  assert.ok(stats.cmd_set >= 0);
  const [settings] = await call('settings');
  assert.ok(settings.maxbytes > 0);
});
