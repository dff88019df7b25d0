import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { RUNNING, STOPPED } from '../../../support/fake-backend.ts';
import { settle } from '../../../support/fake-clock.ts';
import { aBareService, Bench } from '../../bench.ts';

const KEY = 'docker/db';
const NOWHERE: ReadonlySet<string> = new Set();
const IDLE_MS = 60_000;

describe('a workload that several proxies serve', () => {
  let bench: Bench;
  beforeEach(() => {
    bench = new Bench({ shares: true });
  });
  afterEach(async () => {
    expect(await bench.close()).toBe(0);
  });
  const share = (isSleeper: boolean, heldElsewhere = NOWHERE) =>
    bench.lifecycle.share('docker', { isSleeper, heldElsewhere });
  const service = aBareService({ idleTimeoutMs: IDLE_MS });
  const idle = () => bench.clock.advance(IDLE_MS);

  test('is put to sleep by nobody before it is known who does', async () => {
    bench.add(service, RUNNING);
    await idle();
    expect(bench.backend.log).toEqual([]);
  });

  test('is put to sleep by the one proxy whose part it is', async () => {
    bench.add(service, RUNNING);
    share(true);
    await idle();
    expect(bench.backend.log).toEqual(['sleep docker/db']);
    expect(bench.backend.last.evenInUse).toBe(false);
  });

  test('has its whole idle timeout from the moment another proxy becomes the one', async () => {
    share(false);
    bench.add(service, RUNNING);
    await idle();
    share(true);
    await bench.clock.advance(IDLE_MS - 1);
    expect(bench.backend.log).toEqual([]);
    await bench.clock.advance(1);
    expect(bench.backend.log).toEqual(['sleep docker/db']);
  });

  test('is awake while a client of another proxy uses it, and idle from when that one has left', async () => {
    bench.add(service, RUNNING);
    share(true, new Set([KEY]));
    await idle();
    expect(bench.backend.log).toEqual([]);
    share(true);
    await bench.clock.advance(IDLE_MS - 1);
    expect(bench.backend.log).toEqual([]);
    await bench.clock.advance(1);
    expect(bench.backend.log).toEqual(['sleep docker/db']);
  });

  test('tells of the first of its clients and of the end of the last', async () => {
    const server = await bench.sockets.listen();
    bench.add(service, RUNNING);
    const first = await bench.client('db', server.port).served;
    const second = await bench.client('db', server.port).served;
    expect(bench.backend.uses).toEqual(['docker/db in use']);
    first.release();
    expect(bench.backend.uses).toEqual(['docker/db in use']);
    second.release();
    expect(bench.backend.uses).toEqual(['docker/db in use', 'docker/db free']);
  });

  test('is no use of its own what other proxies, hubs and schedules do', () => {
    const controller = bench.add(service, RUNNING);
    share(true, new Set([KEY]));
    controller.hold('cron_start', { keeper: { kind: 'schedule' } }).release();
    expect(bench.backend.uses).toEqual([]);
  });

  test('is not ended by a schedule of a proxy that leaves it to another one', () => {
    const controller = bench.add(service, RUNNING);
    share(false);
    controller.sleep({ kind: 'schedule', words: 'cron_stop' });
    expect(bench.backend.log).toEqual([]);
  });

  test('is ended by a schedule even while another proxy uses it', () => {
    const controller = bench.add(service, RUNNING);
    share(true, new Set([KEY]));
    controller.sleep({ kind: 'schedule', words: 'cron_stop' });
    expect(bench.backend.log).toEqual(['sleep docker/db']);
    expect(bench.backend.last.evenInUse).toBe(true);
  });

  test('is let go of when its service is removed, whoever else uses it', async () => {
    bench.add(service, RUNNING);
    share(false, new Set([KEY]));
    bench.lifecycle.remove(service);
    await settle();
    expect(bench.backend.watched.size).toBe(0);
  });

  test('is woken by every proxy', async () => {
    const server = await bench.sockets.listen();
    bench.add(service, STOPPED);
    share(false);
    const client = bench.client('db', server.port);
    await bench.backend.called(1);
    bench.backend.last.succeed(RUNNING);
    await client.served;
    expect(bench.backend.log).toEqual(['wake docker/db']);
  });
});
