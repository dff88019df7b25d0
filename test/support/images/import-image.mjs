/** Makes an image of a root file system, through the engine's API. */
import http from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { callEngine, engineAddress } from '../../../scripts/engine-api.mjs';
import { writeTar } from './tar.mjs';

const SEARCH_PATH = 'ENV PATH=/bin';

/** The engine may have it already, since its name tells what is in it. */
export async function importOnce(host, { name, listEntries, changes = [] }) {
  if (!(await hasImage(host, name))) await importImage(host, { name, changes, entries: await listEntries() });
  return name;
}

/** True when the engine has an image of this name. */
export async function hasImage(host, name) {
  const { status, body } = await callEngine(host, 'GET', `/images/${name}/json`);
  if (status !== 200 && status !== 404) throw new Error(`cannot look for the image ${name}: ${body.trim()}`);
  return status === 200;
}

async function importImage(host, { name, changes, entries }) {
  const [repo = '', tag = ''] = name.split(':');
  const query = new URLSearchParams({ fromSrc: '-', repo, tag });
  for (const change of [SEARCH_PATH, ...changes]) query.append('changes', change);
  const request = http.request({
    ...engineAddress(host),
    method: 'POST',
    path: `/images/create?${query}`,
    headers: { 'content-type': 'application/x-tar' },
    agent: false,
  });
  const answered = new Promise((resolve, reject) => {
    request.once('response', resolve).once('error', reject);
  });
  await pipeline(Readable.from(writeTar(entries)), request);
  const response = await answered;
  const body = (await response.toArray()).join('');
  // Errors after the first byte come inside a body whose status says 200.
  if (response.statusCode !== 200 || body.includes('"error"'))
    throw new Error(`cannot import ${name}: ${body}`);
  // Podman leaves the tag out.
  if (!(await hasImage(host, name)))
    await callEngine(host, 'POST', `/images/${repo}/tag?${new URLSearchParams({ repo, tag })}`);
}
