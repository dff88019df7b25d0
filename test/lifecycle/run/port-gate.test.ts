import { beforeEach, describe, expect, test } from 'vitest';
import { IcmpAllowance, PortGate } from '../../../src/lifecycle/run/port-gate.ts';
import { FakeClock, settle } from '../../support/fake-clock.ts';

describe('PortGate', () => {
  let clock: FakeClock;
  let gate: PortGate;
  let dials: { answer(): void; refuse(): void }[];

  beforeEach(() => {
    clock = new FakeClock();
    gate = new PortGate(clock);
    dials = [];
  });

  const dial = (signal: AbortSignal) =>
    new Promise<string>((resolve, reject) => {
      const abort = () => reject(signal.reason);
      const done = (settle: () => void) => () => {
        signal.removeEventListener('abort', abort);
        settle();
      };
      signal.addEventListener('abort', abort, { once: true });
      dials.push({ answer: done(() => resolve('served')), refuse: done(() => reject(new Error('no'))) });
    });
  const connect = () => {
    const client = new AbortController();
    const passage = { prove: dial, follow: dial };
    const outcome = gate.pass(passage, client.signal).catch((error: Error) => error.message);
    return { outcome, leave: () => client.abort(new Error('gone')) };
  };
  const answer = async (index: number) => {
    dials[index]?.answer();
    await settle();
  };
  const refuse = async (index: number) => {
    dials[index]?.refuse();
    await settle();
  };

  test('lets one dial while the others wait', async () => {
    for (let count = 0; count < 50; count++) void connect();
    await settle();
    expect(dials).toHaveLength(1);
  });

  test('lets each of the others dial once when the port has answered', async () => {
    const clients = Array.from({ length: 50 }, connect);
    await answer(0);
    expect(dials).toHaveLength(50);
    for (let index = 1; index < 50; index++) await answer(index);
    expect(await Promise.all(clients.map(({ outcome }) => outcome))).toEqual(Array(50).fill('served'));
  });

  test('is proven from the first answer on', async () => {
    void connect();
    expect(gate.proven).toBe(false);
    await answer(0);
    expect(gate.proven).toBe(true);
  });

  test('dials again after 2, 4, 8 … at most 50 ms when the port refuses', async () => {
    const { outcome, leave } = connect();
    const delays: number[] = [];
    for (let index = 0; index < 8; index++) {
      await refuse(index);
      delays.push(...clock.delaysMs);
      await clock.advance(delays[index] ?? 0);
      expect(dials).toHaveLength(index + 2);
    }
    expect(delays).toEqual([2, 4, 8, 16, 32, 50, 50, 50]);
    leave();
    expect(await outcome).toBe('gone');
  });

  test('says nothing of a port that the one who dials has not waited for', async () => {
    const { outcome, leave } = connect();
    await settle();
    leave();
    expect(await outcome).toBe('gone');
    expect(gate.lastFailure).toBeUndefined();
  });

  test('hands the dialling over when the one who dials leaves', async () => {
    const first = connect();
    const second = connect();
    await settle();
    first.leave();
    await settle();
    expect(await first.outcome).toBe('gone');
    expect(dials).toHaveLength(2);
    await answer(1);
    expect(await second.outcome).toBe('served');
  });

  test('hands the dialling over when the one who dials leaves between two tries', async () => {
    const first = connect();
    const second = connect();
    await refuse(0);
    first.leave();
    await settle();
    expect(dials).toHaveLength(2);
    expect(clock.pending).toBe(0);
    await answer(1);
    expect(await second.outcome).toBe('served');
  });

  test('lets one who waits leave without disturbing the one who dials', async () => {
    const first = connect();
    const second = connect();
    second.leave();
    expect(await second.outcome).toBe('gone');
    expect(dials).toHaveLength(1);
    await answer(0);
    expect(await first.outcome).toBe('served');
  });

  test('rejects at once when the client is gone already', async () => {
    await expect(
      gate.pass({ prove: dial, follow: dial }, AbortSignal.abort(new Error('gone'))),
    ).rejects.toThrow('gone');
    expect(dials).toHaveLength(0);
  });

  test('proves the port again when it refuses after it has answered', async () => {
    void connect();
    await answer(0);
    const late = connect();
    await refuse(1);
    expect(gate.proven).toBe(false);
    await answer(2);
    expect(await late.outcome).toBe('served');
    expect(gate.proven).toBe(true);
  });

  test('stays proven when a client leaves while it dials', async () => {
    void connect();
    await answer(0);
    const late = connect();
    await settle();
    late.leave();
    expect(await late.outcome).toBe('gone');
    expect(gate.proven).toBe(true);
  });

  test('needs no proof when it is told so, until it is doubted', async () => {
    gate = new PortGate(clock, { proven: true });
    expect(gate.proven).toBe(true);
    gate.doubt();
    expect(gate.proven).toBe(false);
  });

  test('proves in one way and follows in another', async () => {
    const way = (name: string) => () => Promise.resolve(name);
    const passage = { prove: way('proof'), follow: way('follower') };
    const signal = new AbortController().signal;
    expect(await gate.pass(passage, signal)).toBe('proof');
    expect(await gate.pass(passage, signal)).toBe('follower');
  });

  test('keeps a port proven when the proxy itself has no descriptor left, and tries again', async () => {
    const first = connect();
    await answer(0);
    expect(await first.outcome).toBe('served');
    const shortage = Object.assign(new Error('connect EMFILE'), { code: 'EMFILE' });
    let tries = 0;
    const follow = async () => {
      if (++tries === 1) throw shortage;
      return 'served';
    };
    const outcome = gate.pass({ prove: dial, follow }, new AbortController().signal);
    await settle();
    expect(gate.proven).toBe(true);
    expect(gate.lastFailure).toBe('the proxy itself has no descriptor left for it (EMFILE)');
    await clock.advance(50);
    expect(await outcome).toBe('served');
  });
});

const never = new AbortController().signal;

/** Takes tries as often as it may; returns when each was taken, in milliseconds. */
async function takeFor(
  { clock, allowance }: { clock: FakeClock; allowance: IcmpAllowance },
  { count, everyMs }: { readonly count: number; readonly everyMs: number },
): Promise<number[]> {
  const startMs = clock.monotonicMs();
  const takenMs: number[] = [];
  const takeAll = async () => {
    for (let left = count; left > 0; left--) {
      await allowance.take(never);
      takenMs.push(clock.monotonicMs() - startMs);
      await clock.sleep(everyMs);
    }
  };
  const taken = takeAll();
  while (takenMs.length < count) await clock.advance(100);
  await clock.advance(everyMs);
  await taken;
  return takenMs;
}

describe('IcmpAllowance', () => {
  test('gives a few tries at once, and one a second when they are spent', async () => {
    const clock = new FakeClock();
    const parts = { clock, allowance: new IcmpAllowance(clock) };
    expect(await takeFor(parts, { count: 7, everyMs: 0 })).toEqual([0, 0, 0, 0, 1_000, 2_000, 3_000]);
  });

  test('never saves up more than the few', async () => {
    const clock = new FakeClock();
    const parts = { clock, allowance: new IcmpAllowance(clock) };
    await clock.advance(60_000);
    expect(await takeFor(parts, { count: 6, everyMs: 0 })).toEqual([0, 0, 0, 0, 1_000, 2_000]);
  });

  test('gives the next try after a second when it was emptied', async () => {
    const clock = new FakeClock();
    const allowance = new IcmpAllowance(clock);
    allowance.empty();
    expect(await takeFor({ clock, allowance }, { count: 2, everyMs: 0 })).toEqual([1_000, 2_000]);
  });

  test('gives up when the signal aborts', async () => {
    const clock = new FakeClock();
    const allowance = new IcmpAllowance(clock);
    const leaving = new AbortController();
    allowance.empty();
    const taken = allowance.take(leaving.signal);
    await settle();
    leaving.abort(new Error('gone'));
    await expect(taken).rejects.toThrow('gone');
    expect(clock.pending).toBe(0);
  });
});
