/**
 * An engine for the bench, in a process of its own so that its work is nobody else's: `fork()` it and send
 * `{ kind: 'open', size, labelled, running }`, `{ kind: 'storm', events, durationMs }` or `{ kind: 'count' }`; each is
 * answered with one message. It speaks the part of the API that the docker backend needs, and ends with its parent.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describeInspected, describeListed, idOf } from './engine-answers.mjs';
import { createLabels, nameOf } from './samples.mjs';
import { createStorm } from './storm.mjs';

/** Events are told in so many portions a second, as an engine that is busy does. */
const PORTIONS_PER_SECOND = 50;

const folder = mkdtempSync(path.join(tmpdir(), 'bench-engine-'));
const containers = new Map();
const subscribers = new Set();
const calls = { list: 0, inspect: 0, other: 0 };

process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
process.on('disconnect', () => process.exit());
process.on('message', async (message) => process.send(await answerMessage(message)));

async function answerMessage(message) {
  if (message.kind === 'open') return open(message);
  if (message.kind === 'storm') return tellStorm(message);
  return { ...calls };
}

async function open({ size, labelled, running }) {
  for (let index = 0; index < size; index++) {
    const container = { index, name: nameOf(index), running, health: 'healthy' };
    containers.set(idOf(index), { ...container, labels: labelled ? createLabels(index) : {} });
  }
  const socket = path.join(folder, 'engine.sock');
  await new Promise((resolve) => createServer(receive).listen(socket, resolve));
  return { socket };
}

/** Tells the events evenly over the time; answers with the names that run at the end. */
async function tellStorm({ events, durationMs }) {
  const steps = createStorm([...containers.values()], events);
  const portions = Math.max(1, Math.round((durationMs / 1_000) * PORTIONS_PER_SECOND));
  const startMs = performance.now();
  for (let portion = 0, told = 0; portion < portions; portion++) {
    const end = Math.round((events * (portion + 1)) / portions);
    let lines = '';
    for (; told < end; told++) {
      const { container, fields, action } = steps[told];
      Object.assign(container, fields);
      lines += `${JSON.stringify(describeEvent(container, action))}\n`;
    }
    for (const response of subscribers) response.write(lines);
    const dueMs = startMs + (durationMs * (portion + 1)) / portions;
    await sleep(Math.max(0, dueMs - performance.now()));
  }
  const running = [...containers.values()].filter((container) => container.running);
  return { tookMs: performance.now() - startMs, running: running.map(({ name }) => name) };
}

function describeEvent({ index, name, labels }, action) {
  const attributes = { ...labels, image: 'sample', name };
  return { Type: 'container', Action: action, Actor: { ID: idOf(index), Attributes: attributes } };
}

function receive(request, response) {
  const { pathname } = new URL(request.url, 'http://engine');
  request.resume();
  if (pathname === '/events') {
    response.writeHead(200, { 'content-type': 'application/json' }).flushHeaders();
    subscribers.add(response);
    response.on('close', () => subscribers.delete(response));
    response.on('error', () => {});
    return;
  }
  const [, id] = /^\/containers\/([^/]+)\/json$/.exec(pathname) ?? [];
  if (pathname === '/containers/json') {
    calls.list++;
    return send(response, [...containers.values()].map(describeListed));
  }
  if (id !== undefined && containers.has(id)) {
    calls.inspect++;
    return send(response, describeInspected(containers.get(id)));
  }
  calls.other++;
  response.writeHead(404, { 'content-type': 'application/json' }).end('{"message":"there is no such thing"}');
}

function send(response, body) {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}
