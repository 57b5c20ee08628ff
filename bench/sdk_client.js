// What bench/sdk.py measures with the official Couchbase SDK. One JSON text a line on stdout.
//
//   node sdk_client.js first BINARY PORT FOLDER     starts a server in a new directory; milliseconds to the first upsert
//   node sdk_client.js idle ADDRESS BUCKET...       a client for each bucket, connected until stdin ends
'use strict';

const { spawn } = require('node:child_process');
const net = require('node:net');
const couchbase = require('couchbase');

const login = { username: 'Administrator', password: 'password', timeouts: { connectTimeout: 20000, kvTimeout: 20000 } };

// The SDK waits longer and longer between its tries; a program that starts its server does not.
async function listens(port) {
  for (;;) {
    const connected = await new Promise((resolve) => {
      const socket = net.connect(port, '127.0.0.1');
      socket.once('connect', () => { socket.destroy(); resolve(true); });
      socket.once('error', () => resolve(false));
    });
    if (connected) return;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

async function first([binary, port, folder]) {
  const began = process.hrtime.bigint();
  const server = spawn(binary, ['serve', '--dev', '--port', port, '--data', folder], { stdio: 'ignore' });
  try {
    await listens(Number(port));
    const cluster = await couchbase.connect(`couchbase://127.0.0.1:${port}`, login);
    await cluster.bucket('default').defaultCollection().upsert('k', { a: 1 });
    console.log(JSON.stringify({ ms: Number(process.hrtime.bigint() - began) / 1e6 }));
    await cluster.close();
  } finally {
    const ended = new Promise((resolve) => server.once('exit', resolve));
    server.kill();
    await ended;
  }
}

async function idle([address, ...buckets]) {
  const clusters = [];
  for (const name of buckets) {
    const cluster = await couchbase.connect(`couchbase://${address}`, login);
    await cluster.bucket(name).defaultCollection().upsert('k', { a: 1 });
    clusters.push(cluster);
  }
  console.log(JSON.stringify({ connected: clusters.length }));
  await new Promise((resolve) => process.stdin.resume().once('end', resolve));
  await Promise.all(clusters.map((cluster) => cluster.close()));
}

const [mode, ...words] = process.argv.slice(2);
({ first, idle })[mode](words).catch((error) => {
  console.error(error);
  process.exit(1);
});
