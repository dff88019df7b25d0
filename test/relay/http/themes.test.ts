import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { NO_WEB } from '../../../src/model/web.ts';
import { Themes } from '../../../src/relay/http/waiting/themes.ts';
import { Waiting } from '../../../src/relay/http/waiting/waiting.ts';
import { systemClock } from '../../../src/system/clock.ts';
import { aRequest, WebBed } from './web-bed.ts';

let folder: string;
let nowMs: number;
let told: string[];
let themes: Themes;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'lazy-proxy-theme-'));
  nowMs = 0;
  told = [];
  themes = new Themes({
    clock: { monotonicMs: () => nowMs },
    onBad: (service, reason) => told.push(`${service}: ${reason.replace(`${folder}/`, '')}`),
  });
});
afterEach(() => rm(folder, { recursive: true }));

const fileOf = (name = 'page.html') => path.join(folder, name);
const policyOf = () => ({ ...NO_WEB, waitingPage: { kind: 'file', path: fileOf() } as const });
const read = () => themes.of({ service: 'wiki', policy: policyOf() });

test('a page of a file is read again when it has changed, at most once a second', async () => {
  await writeFile(fileOf(), 'one');
  expect(read()).toBe('one');
  await writeFile(fileOf('new'), 'two');
  await rename(fileOf('new'), fileOf());
  expect(read()).toBe('one');
  nowMs += 1_000;
  expect(read()).toBe('two');
  await rm(fileOf());
  nowMs += 1_000;
  expect(read()).toBeUndefined();
  nowMs += 1_000;
  expect(read()).toBeUndefined();
  expect(told).toEqual([expect.stringMatching(/^wiki: waiting_page page.html: .*no such file/)]);
  await writeFile(fileOf(), 'three');
  nowMs += 1_000;
  expect(read()).toBe('three');
});

test.each<readonly [string, () => Promise<void> | unknown, string]>([
  ['is too big', () => writeFile(fileOf(), 'x'.repeat(262_145)), 'it has 262145 bytes'],
  ['is a folder', () => mkdir(fileOf()), 'it is not a regular file'],
  ['is a FIFO that nobody writes into', () => spawnSync('mkfifo', [fileOf()]), 'it is not a regular file'],
])('a page is told of, and not read, that %s', async (_, make, reason) => {
  await make();
  expect(read()).toBeUndefined();
  expect(told).toEqual([expect.stringContaining(reason)]);
});

test('a page of a file shows a hostile address as text, and loads nothing from elsewhere', async () => {
  await writeFile(
    fileOf(),
    '<body data-url="{{url}}"><h1>{{service}}</h1><img src="https://elsewhere.example/x">{{script}}',
  );
  const waiting = new Waiting({
    clock: systemClock,
    themeOf: ({ service }) => themes.of({ service, policy: policyOf() }),
  });
  const bed = await WebBed.open([{ host: 'wiki' }], { parts: { waiting } });
  try {
    bed.service('wiki').view = { state: 'asleep' };
    const to = encodeURIComponent('/"><script>alert(1)</script>');
    const answer = await bed.exchange(aRequest('wiki.test', { path: `/.lazy-proxy/wait?to=${to}` }));
    expect(answer).toMatch(/^HTTP\/1\.1 503 /);
    expect(answer).toContain('data-url="/&#34;&#62;&#60;script');
    expect(answer).toMatch(/Content-Security-Policy: default-src 'none';.*img-src 'self' data:;/);
  } finally {
    waiting.close();
    bed.close();
  }
});
