// memjs with a login (SASL PLAIN), unmodified, against a server with users at BOBBIN_ADDRESS (host:port).
'use strict';

const assert = require('node:assert');
const { test } = require('node:test');
const memjs = require('memjs');

const quiet = { log() {} };
const options = { timeout: 20, conntimeout: 20, retries: 0, logger: quiet };
const client = (login) => memjs.Client.create(process.env.BOBBIN_ADDRESS, { ...options, ...login });

test('who logs in reads and writes', async () => {
  const app = client({ username: 'app', password: 'secret' });
  assert.strictEqual(await app.set('key', 'value', {}), true);
  assert.strictEqual((await app.get('key')).value.toString(), 'value');
  await new Promise((resolve) => { app.stats((error, server, stats) => { assert.ok(stats); resolve(); }); });
  app.close();
});

// A refusal has the status of a failed login, at which memjs ends its connection: one client for each request.
test('who may only read cannot write', async () => {
  const asked = async (request) => {
    const reader = client({ username: 'reader', password: 'secret' });
    try {
      return await request(reader);
    } finally {
      reader.close();
    }
  };
  await assert.rejects(asked((reader) => reader.set('key', 'other', {})));
  assert.strictEqual((await asked((reader) => reader.get('key'))).value.toString(), 'value');
});

test('a wrong password, and none, are refused', async () => {
  for (const login of [{ username: 'app', password: 'wrong' }, {}]) {
    const stranger = client(login);
    await assert.rejects(stranger.get('key'));
    stranger.close();
  }
});
