// memjs (binary protocol), unmodified, against the server at BOBBIN_ADDRESS (host:port).
'use strict';

const assert = require('node:assert');
const { after, beforeEach, test } = require('node:test');
const memjs = require('memjs');

const address = process.env.BOBBIN_ADDRESS;
const client = memjs.Client.create(address, { timeout: 20, conntimeout: 20, retries: 0 });

beforeEach(() => client.flush());
after(() => client.close());

const text = async (key) => {
  const { value } = await client.get(key);
  return value === null ? null : value.toString();
};

test('set and get', async () => {
  assert.strictEqual(await text('key'), null);
  assert.strictEqual(await client.set('key', 'value', {}), true);
  assert.strictEqual(await text('key'), 'value');
});

test('an empty value', async () => {
  await client.set('key', '', {});
  const { value } = await client.get('key');
  assert.strictEqual(value.length, 0);
});

test('add and replace', async () => {
  assert.strictEqual(await client.replace('key', '1', {}), false);
  assert.strictEqual(await client.add('key', '2', {}), true);
  assert.strictEqual(await client.add('key', '3', {}), false);
  assert.strictEqual(await client.replace('key', '4', {}), true);
  assert.strictEqual(await text('key'), '4');
});

// The prepend of memjs 1.3 sends the opcode of append, so that it proves nothing of the server.
test('append', async () => {
  await assert.rejects(client.append('key', '1'), /not stored/);
  await client.set('key', 'b', {});
  assert.strictEqual(await client.append('key', 'c'), true);
  assert.strictEqual(await text('key'), 'bc');
});

test('increment and decrement', async () => {
  const value = async (promise) => Number((await promise).value);
  assert.strictEqual(await value(client.increment('key', 5, { initial: 10 })), 10);
  assert.strictEqual(await value(client.increment('key', 5, { initial: 10 })), 15);
  assert.strictEqual(await value(client.decrement('key', 3, { initial: 0 })), 12);
  assert.strictEqual(await value(client.decrement('key', 100, { initial: 0 })), 0);
  await client.set('word', 'text', {});
  await assert.rejects(client.increment('word', 1, { initial: 0 }));
});

test('delete', async () => {
  assert.strictEqual(await client.delete('key'), false);
  await client.set('key', '1', {});
  assert.strictEqual(await client.delete('key'), true);
  assert.strictEqual(await text('key'), null);
});

test('touch and expiry', async () => {
  assert.strictEqual(await client.touch('key', 100), false);
  await client.set('key', '1', { expires: 1000 });
  assert.strictEqual(await client.touch('key', 1), true);
  const deadline = Date.now() + 20000;
  while ((await text('key')) !== null) {
    assert.ok(Date.now() < deadline, 'the key did not expire');
  }
});

test('flush', async () => {
  await client.set('key', '1', {});
  assert.deepStrictEqual(await client.flush(), { [address]: true });
  assert.strictEqual(await text('key'), null);
});

test('large values', async () => {
  for (const size of [2047, 2048, 32768, 500000, 1000000]) {
    const value = Buffer.alloc(size, Buffer.from([...Array(256).keys()]));
    assert.strictEqual(await client.set('key', value, {}), true);
    assert.ok((await client.get('key')).value.equals(value), `${size} bytes`);
  }
  await assert.rejects(client.set('key', Buffer.alloc(1100000), {}));
});

test('special characters in values and keys', async () => {
  for (const value of ['\r\n', 'END\r\n', '\u0000\u0080\u0081', 'żółw 键 🐢', '"quoted\' \\']) {
    await client.set('key', value, {});
    assert.strictEqual(await text('key'), value);
  }
  for (const key of ['with space', 'żółw', 'line\r\nend', 'k'.repeat(250)]) {
    await client.set(key, key, {});
    assert.strictEqual(await text(key), key);
  }
});

test('flags and serializers', async () => {
  const serializer = {
    serialize: (opcode, value, extras) => {
      if ([1, 2, 3].includes(opcode)) extras.writeUInt32BE(0xdeadbeef, 0);
      return { value: JSON.stringify(value), extras };
    },
    deserialize: (opcode, value, extras) => ({ value: [JSON.parse(value), extras.readUInt32BE(0)], extras }),
  };
  const other = memjs.Client.create(address, { timeout: 20, serializer });
  await other.set('key', { a: [1, null] }, {});
  assert.deepStrictEqual((await other.get('key')).value, [{ a: [1, null] }, 0xdeadbeef]);
  other.close();
});

test('many requests in flight on one connection', async () => {
  const numbers = [...Array(2000).keys()];
  await Promise.all(numbers.map((number) => client.set(`key${number}`, `${number}`, {})));
  const values = await Promise.all(numbers.map((number) => text(`key${number}`)));
  assert.deepStrictEqual(values, numbers.map(String));
});

test('statistics', async () => {
  const stats = await new Promise((resolve, reject) => {
    client.stats((error, server, found) => (error ? reject(error) : resolve(found)));
  });
  assert.strictEqual(stats.threads, process.env.BOBBIN_THREADS);
  assert.match(stats.cmd_set, /^\d+$/);
  const settings = await new Promise((resolve, reject) => {
    client.statsWithKey('settings', (error, server, found) => (error ? reject(error) : resolve(found)));
  });
  assert.match(settings.maxbytes, /^\d+$/);
});

test('statistics can be reset', async () => {
  await client.get('absent');
  await new Promise((resolve, reject) => {
    client.resetStats((error) => (error ? reject(error) : resolve()));
  });
  const stats = await new Promise((resolve, reject) => {
    client.stats((error, server, found) => (error ? reject(error) : resolve(found)));
  });
  assert.strictEqual(stats.get_misses, '0');
});

test('quit closes the connection, and a new client connects', async () => {
  const other = memjs.Client.create(address, { timeout: 20 });
  await other.set('key', '1', {});
  other.quit();
  assert.strictEqual(await text('key'), '1');
});
